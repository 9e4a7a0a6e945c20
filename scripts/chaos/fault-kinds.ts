/** What goes wrong in a run. */
export const FAULTS = {
  "node-kill": "SIGKILL of a node, started again after a moment",
  "node-stop": "SIGTERM of a node: it drains, and is started again",
  "node-freeze": "SIGSTOP of a node for 2 to 20 s",
  "client-cut": "all connections of clients to a node are reset, and for a while refused",
  "client-delay": "what clients and a node say to each other comes late",
  "client-black-hole": "what clients and a node say to each other goes nowhere, in one or both directions",
  "backend-cut": "all connections of a node to the backend are reset, and for a while refused",
  "backend-delay": "what a node and the backend say to each other comes late",
  "backend-black-hole": "what a node and the backend say to each other goes nowhere, in one or both directions",
  "backend-restart": "the backend is stopped in good order and started again",
  "backend-kill": "SIGKILL of the backend, with all its processes, and a start on the same data",
  "backend-immediate": "immediate shutdown (SIGQUIT) of PostgreSQL, and a start on the same data",
  "backend-freeze": "SIGSTOP of the backend for 2 to 20 s",
  "backend-power-cut": "SIGKILL of Redis, whose file then ends where it was synced a second before",
  "disk-full": "the disk of the data is filled up for a while",
} as const;

export type FaultKind = keyof typeof FAULTS;

export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[];
