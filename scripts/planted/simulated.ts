/** The simulation of three nodes with one kind of fault. */
export const simulated = (kind: string) => ({
  file: "test/simulation/kinds.test.ts",
  title: `keep every promise: ${kind}`,
});
