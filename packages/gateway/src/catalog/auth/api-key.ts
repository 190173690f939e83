import { z } from 'zod'
import { word } from '../vocabulary.ts'
import { injectFile } from './inject.ts'
import { compileProbe, type Probe, probeFile } from './probe.ts'
import type { Scheme, SchemeContext } from './scheme.ts'

/** A secret that a person makes at the provider and pastes here. */

export const apiKeyFile = z
  .strictObject({
    scheme: z.literal('api_key').describe('A secret that is made at the provider and pasted.'),
    title: word.sentence.describe('What the provider calls it, such as `API key`.'),
    page: word.source.describe('Where a person makes one.'),
    probe: probeFile,
    inject: injectFile,
  })
  .describe('A pasted secret: it does not renew itself.')

export type ApiKey = Scheme & {
  readonly scheme: 'api_key'
  readonly title: string
  readonly page: string
  readonly probe: Probe
}

export function compileApiKey(
  { scheme, title, page, inject, probe: file }: z.output<typeof apiKeyFile>,
  { originOf }: SchemeContext,
): ApiKey {
  const probe = compileProbe(file, originOf)
  const origins = [new URL(probe.url).origin]
  return { scheme, title, page, inject, probe, origins, isRenewable: false }
}
