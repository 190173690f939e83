/** JSON as the services answer it. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [member: string]: Json | undefined }

/** The provider's envelope: the truth is the integer `status`, never the HTTP status. */
export type Answer =
  | { readonly status: 0; readonly body: Json }
  | { readonly status: number; readonly body: Json; readonly error: string }

export function ok(body: Json = {}): Answer {
  return { status: 0, body }
}

export function refuse(status: number, error: string): Answer {
  return { status, body: {}, error }
}

/** 503 means bad parameters here, not "unavailable". */
export function invalidParam(name: string): Answer {
  return refuse(503, `Invalid Params: invalid ${name}`)
}

/** The texts of the first two were recorded from the live service; note their different prefixes. */
export const refusals = {
  invalidToken: refuse(
    401,
    'XRequestID: Not provided invalid_token: The access token provided is invalid',
  ),
  insufficientScope: refuse(
    403,
    'XRequestID: [Not provided] - Insufficient_scope: The request requires higher privileges than provided by the access token',
  ),
  unknownAction: refuse(2554, 'Not implemented'),
  /** A family of codes means this; 2553 is the one that documentation and clients agree on. */
  unauthorized: refuse(2553, 'Unauthorized'),
} as const

/** Both texts were recorded from the live service. */
export const tooManyRequests = {
  sameArguments: refuse(601, 'Same arguments in less than 10 seconds'),
  waitFor: (seconds: number): Answer => ({
    ...refuse(601, 'Too Many Requests'),
    body: { wait_seconds: seconds },
  }),
} as const
