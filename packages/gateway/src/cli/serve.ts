import type { AddCommand } from './session.ts'
import { stopped } from './session.ts'

export const addServe: AddCommand = (command, session) => {
  command
    .addHelpText(
      'after',
      `
Agents reach it at --host and --port, operators at --admin-host and --admin-port and through
admin.sock in the data folder. It runs until Ctrl-C or SIGTERM, then lets running calls finish.

Examples:
  $ okoro serve
  $ okoro serve --port 9000 --public-url https://okoro.example
  $ OKORO_DATABASE_URL_FILE=/run/secrets/database okoro serve`,
    )
    .action(async () => {
      const { output, stop } = session
      const { config } = session.settings()
      const app = await session.openApp(config)
      try {
        const { publicUrl, adminUrl } = await app.serve()
        if (output.isJson) output.json({ public_url: publicUrl, admin_url: adminUrl })
        else {
          output.text(`okoro ${session.gatewayVersion} is running. Ctrl-C stops it.`)
          output.facts([
            ['agents', publicUrl],
            ['admin API', `${adminUrl}/api/v1`],
            ['data folder', config.dataDir],
          ])
        }
        await stopped(stop)
      } finally {
        await app.close()
      }
    })
}
