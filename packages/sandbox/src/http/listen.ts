import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Binds a server and returns its origin, such as `http://127.0.0.1:41873`.
 *
 * @param port 0 lets the system choose.
 * @throws Error with a readable message when the port is taken or may not be bound.
 */
export function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)))
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      const { port: bound } = server.address() as AddressInfo
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${bound}`)
    })
  })
}

/** Stops listening and cuts the connections that are still open. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reason = error.code === 'EADDRINUSE' ? 'is already in use' : `cannot be used: ${error.code}`
  return new Error(`the sandbox cannot listen: port ${port} on ${host} ${reason}`, { cause: error })
}
