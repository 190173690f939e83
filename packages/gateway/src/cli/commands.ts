import type { AddCommand } from './session.ts'

type Entry = { readonly about: string; readonly load: () => Promise<AddCommand> }

/** Every command of `okoro`, in the order of its help: one file and one line each. */
export const commands: Readonly<Record<string, Entry>> = {
  demo: {
    about: 'Try okoro: a sandbox, a connected account and an agent, ready to be called',
    load: async () => (await import('./demo.ts')).addDemo,
  },
  serve: {
    about: 'Start the gateway',
    load: async () => (await import('./serve.ts')).addServe,
  },
  doctor: {
    about: 'Check this installation and say what to do',
    load: async () => (await import('./doctor.ts')).addDoctor,
  },
  config: {
    about: 'Show every setting, its value and where that came from',
    load: async () => (await import('./config.ts')).addConfig,
  },
  agents: {
    about: 'Agents: who may call, and what',
    load: async () => (await import('./agents.ts')).addAgents,
  },
  connections: {
    about: 'Connections: accounts linked at providers',
    load: async () => (await import('./connections.ts')).addConnections,
  },
  applications: {
    about: 'Applications: your OAuth clients at providers',
    load: async () => (await import('./applications.ts')).addApplications,
  },
  providers: {
    about: 'Providers: the APIs that okoro knows, and their rules',
    load: async () => (await import('./providers.ts')).addProviders,
  },
  call: {
    about: 'Call a provider as an agent does',
    load: async () => (await import('./call.ts')).addCall,
  },
  run: {
    about: 'Run a command as an agent of its own, which ends with it',
    load: async () => (await import('./run-agent.ts')).addRun,
  },
  audit: {
    about: 'Audit: what was called, by whom, and what for',
    load: async () => (await import('./audit.ts')).addAudit,
  },
  keys: {
    about: 'Keys: what protects the data and signs tokens',
    load: async () => (await import('./keys.ts')).addKeys,
  },
}
