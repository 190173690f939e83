import { type ErrorCode, type Refusal, refuse } from '../errors.ts'

/** Every way in which connecting an account can fail: page, admin API and records use this table. */
export const connectFailures = {
  unknown_link: {
    code: 'not_found',
    title: 'This link is not known',
    what: 'It is no connect link of this gateway, or it is too old to be remembered.',
    next: 'Check that the whole link was copied, or ask for a new one.',
  },
  used_link: {
    code: 'conflict',
    title: 'This link was already used',
    what: 'A connect link opens once, in one browser.',
    next: 'If that was not you, tell whoever sent it. Ask for a new link.',
  },
  expired: {
    code: 'conflict',
    title: 'This link has expired',
    what: 'Too much time passed before the account was connected. Nothing was changed.',
    next: 'Ask for a new link and finish within ten minutes of opening it.',
  },
  unknown_state: {
    code: 'invalid_request',
    title: 'This does not belong to a connection being made',
    what: 'What came back does not match anything that was begun here. Nothing was changed.',
    next: 'Begin again with a new link.',
  },
  already_finished: {
    code: 'conflict',
    title: 'This was already finished',
    what: 'This answer was handled before; it counts once.',
    next: 'If the account is connected, you can close this page. Otherwise ask for a new link.',
  },
  wrong_browser: {
    code: 'invalid_request',
    title: 'This is not the browser that opened the link',
    what: 'The account must be connected in the browser that opened the link, with cookies on. Nothing was connected.',
    next: 'If you did not open a connect link yourself, close this page. Otherwise ask for a new link and stay in one browser.',
  },
  wrong_provider: {
    code: 'invalid_request',
    title: 'This answer came for another provider',
    what: 'The connection was begun with a different provider. Nothing was connected.',
    next: 'Ask for a new link and begin again.',
  },
  denied: {
    code: 'conflict',
    title: 'Access was denied',
    what: 'You chose not to give access. Nothing was connected.',
    next: 'If that was a mistake, ask for a new link.',
  },
  provider_refused: {
    code: 'conflict',
    title: 'The provider did not allow it',
    what: 'The provider ended the connection without giving access.',
    next: 'The operator checks the application at the provider: its status, its redirect URI, and how many users it may have. Then ask for a new link.',
  },
  code_refused: {
    code: 'conflict',
    title: 'The provider did not accept the code',
    what: 'Codes live for a short time only. Nothing was connected.',
    next: "Ask for a new link and go through it without a pause. If it happens again, the operator checks the application's client id, secret and redirect URI.",
  },
  provider_unavailable: {
    code: 'upstream_unreachable',
    title: 'The provider did not answer as it should',
    what: 'The code could not be traded for access. Nothing was connected.',
    next: 'Wait a moment, then ask for a new link.',
  },
  credential_refused: {
    code: 'invalid_request',
    title: 'The provider does not accept this credential',
    what: 'It was tried once at the provider and refused. Nothing was connected.',
    next: 'Check that all of it was pasted, that it has not expired and that nobody took it back; otherwise make a new one.',
  },
  credential_untried: {
    code: 'upstream_unreachable',
    title: 'The credential could not be tried',
    what: 'Whether it works is not known, so nothing was connected.',
    next: 'Wait a moment, then try again.',
  },
  account_changed: {
    code: 'conflict',
    title: 'This is another account',
    what: 'The connection belongs to a different account of this provider. It stays as it was.',
    next: 'Sign in at the provider with the account from before, or have the operator begin again and confirm the change of account.',
  },
  label_taken: {
    code: 'conflict',
    title: 'The name is taken',
    what: 'Another connection of this provider got the same label in the meantime.',
    next: 'The operator begins again with another label.',
  },
  connection_gone: {
    code: 'conflict',
    title: 'The connection is gone',
    what: 'It was removed or changed while you were connecting.',
    next: 'The operator begins again.',
  },
} as const satisfies Record<
  string,
  { readonly code: ErrorCode; readonly title: string; readonly what: string; readonly next: string }
>

export type FailureReason = keyof typeof connectFailures

/** A refusal that also says which line of the table it is, and what the provider said. */
export type ConnectFailure = Refusal & {
  readonly members: { readonly reason: FailureReason; readonly detail: string | null }
}

/** `detail` is for the person too: never a code, a state or a token. */
export function fail(reason: FailureReason, detail: string | null = null): ConnectFailure {
  const { code, what, next } = connectFailures[reason]
  const message = [what, detail, next].filter((part) => part !== null).join(' ')
  const members = { reason, detail }
  return { ...refuse(code, message, members), members }
}
