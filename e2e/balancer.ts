import { connect, createServer, type Socket } from 'node:net'

/** For tests: what stands in front of several nodes. Plain TCP, each connection to the next one. */
export type Balancer = {
  readonly url: string
  close(): Promise<void>
}

/**
 * Listens on a port that the system chooses. `ports` says who is in turn now, and is asked for each
 * connection; a node that refuses it is passed over. With nobody left the client is hung up on.
 */
export async function startBalancer(ports: () => readonly number[]): Promise<Balancer> {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer((client) => {
    open.add(client)
    client.once('close', () => open.delete(client))
    client.on('error', () => client.destroy())
    const all = ports()
    const first = turn++ % Math.max(1, all.length)
    hand(client, [...all.slice(first), ...all.slice(0, first)])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function hand(client: Socket, [port, ...others]: readonly number[]): void {
  if (port === undefined) {
    client.destroy()
    return
  }
  const node = connect(port, '127.0.0.1')
  let isConnected = false
  node.once('connect', () => {
    isConnected = true
    client.pipe(node).pipe(client)
  })
  node.once('error', () => {
    if (isConnected) client.destroy()
    else hand(client, others)
  })
  node.once('close', () => isConnected && client.destroySoon())
  client.once('close', () => node.destroy())
}
