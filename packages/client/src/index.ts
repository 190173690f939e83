export type { CallOptions, CallParameters } from './call.ts'
export { type Client, type ClientOptions, createClient } from './client.ts'
export { OkoroError } from './okoro-error.ts'
export type * from './wire.ts'
