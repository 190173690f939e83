import type { Keys } from './gateway/admin-api.ts'
import type { AddCommand, Session } from './session.ts'

export const addKeys: AddCommand = (keys, session) => {
  keys
    .command('status')
    .description('Show which keys are in use; never a key itself')
    .addHelpText('after', '\nExample:\n  $ okoro keys status')
    .action(() =>
      session.withAdmin(async (admin) => print(session, await admin.call<Keys>('GET', '/keys'))),
    )
  keys
    .command('rotate')
    .description('Sign operation tokens with a new key; those of the old one run out in minutes')
    .addHelpText('after', '\nExample:\n  $ okoro keys rotate')
    .action(() =>
      session.withAdmin(async (admin) =>
        print(session, await admin.call<Keys>('POST', '/keys/rotate')),
      ),
    )
}

function print({ output }: Session, keys: Keys): void {
  if (output.isJson) {
    output.json(keys)
    return
  }
  output.table(
    ['KEY', 'PURPOSE', 'STATUS'],
    [
      [keys.root_key.id, 'seals everything in the database', `since ${keys.root_key.created_at}`],
      ...keys.signing_keys.map(({ id, status }) => [id, 'signs operation tokens', status]),
    ],
  )
}
