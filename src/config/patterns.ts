// What core/names.ts accepts from clients, as patterns for the JSON Schema. A test compares the two.

export const NAME_PATTERN = /^[A-Za-z0-9.-][A-Za-z0-9._-]{0,127}$/;
export const AGENT_ID_PATTERN = /^[A-Za-z0-9.@|:/+-][A-Za-z0-9._@|:/+-]{0,127}$/;
/** An agent id, or the beginning of agent ids followed by `*`. */
export const AGENT_PATTERN =
  /^(?:\*|[A-Za-z0-9.@|:/+-][A-Za-z0-9._@|:/+-]{0,126}\*?|[A-Za-z0-9.@|:/+-][A-Za-z0-9._@|:/+-]{127})$/;
