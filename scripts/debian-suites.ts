/**
 * `node scripts/debian-suites.ts trixie valkey [file …]`: runs the conformance, fault and black-box suites of a storage
 * against the server of another Debian release. As root, with debootstrap and unshare (util-linux) on the machine: the
 * release's server goes into a folder of .cache/debian, is run there by chroot, and nothing of the machine changes.
 */
import { existsSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "./root.ts";
import { run, runOrThrow } from "./run.ts";

interface ForeignServer {
  readonly packages: readonly string[];
  /** Where the release has the programs, by the names that tests start them by; `*` stands for a version. */
  readonly programs: Readonly<Record<string, string>>;
  /** What its test files are called after. */
  readonly suite: string;
}

const POSTGRES = "/usr/lib/postgresql/*/bin";
const SERVERS: Readonly<Record<string, ForeignServer>> = {
  redis: {
    packages: ["redis-server"],
    programs: { "redis-server": "/usr/bin/redis-server", "redis-cli": "/usr/bin/redis-cli" },
    suite: "redis",
  },
  valkey: {
    packages: ["valkey-server"],
    programs: { "redis-server": "/usr/bin/valkey-server", "redis-cli": "/usr/bin/valkey-cli" },
    suite: "redis",
  },
  postgres: {
    packages: ["postgresql", "pgbouncer"],
    programs: { initdb: `${POSTGRES}/initdb`, postgres: `${POSTGRES}/postgres`, pgbouncer: "/usr/sbin/pgbouncer" },
    suite: "postgres",
  },
  mariadb: {
    packages: ["mariadb-server"],
    programs: { "mariadb-install-db": "/usr/bin/mariadb-install-db", mariadbd: "/usr/sbin/mariadbd" },
    suite: "mysql",
  },
};
const FILES = ["test/conformance", "test/fault", "test/blackbox"];

/** What programs in the root share with the machine: files of tests, devices, users. In a mount namespace that ends with us. */
const SHARED = ["/tmp", "/dev", "/proc", "/etc/passwd", "/etc/group", ROOT];

const { positionals } = parseArgs({ allowPositionals: true });
const [release = "", name = "", ...chosen] = positionals;
const server = SERVERS[name];
if (!/^[a-z]+$/.test(release) || server === undefined) {
  console.error(`usage: node scripts/debian-suites.ts RELEASE ${Object.keys(SERVERS).join("|")} [FILE …]`);
  process.exit(2);
}
const folder = join(ROOT, ".cache", "debian", release);
const root = join(folder, "root");
const programs = join(folder, name);
await install(server.packages);
writeWrappers(server.programs);
const files = chosen.length > 0 ? chosen : FILES.flatMap((each) => globSync(`${each}/*${server.suite}*.test.ts`));
const mounts = SHARED.map((path) => `mount --rbind "${path}" "$0${path}"`).join(" && ");
const env = {
  ...{ AGENTBUS_TEST_PROGRAMS: programs, AGENTBUS_TEST_REQUIRE: "1", AGENTBUS_TEST_INSTALL: "0" },
  ...{ REDIS_URL: "", POSTGRES_URL: "", MYSQL_URL: "" },
};
const vitest = [join(ROOT, "node_modules", ".bin", "vitest"), "run", ...files];
const isolated = ["--mount", "--propagation", "private", "sh", "-c", `${mounts} && exec "$@"`, root, ...vitest];
const { code } = await run("unshare", isolated, { cwd: ROOT, env, onOutput: (text) => process.stdout.write(text) });
process.exitCode = code;

async function install(packages: readonly string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, "is-there"))) {
    console.error(`making a root of Debian ${release} in ${root}`);
    await runOrThrow("debootstrap", ["--variant=minbase", release, root]);
    writeFileSync(join(root, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    mkdirSync(join(root, ROOT), { recursive: true });
    writeFileSync(join(folder, "is-there"), "");
  }
  const apt = `apt-get -qq update && apt-get -qq -y --no-install-recommends install ${packages.join(" ")}`;
  const inRoot = `mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot "$0" sh -c '${apt}'`;
  const isolatedApt = ["--mount", "--propagation", "private", "sh", "-c", inRoot, root];
  await runOrThrow("unshare", isolatedApt, { env: { DEBIAN_FRONTEND: "noninteractive" } });
}

/** Each runs its program in the root, as the user and in the folder that it was called in; without that folder it fails. */
function writeWrappers(paths: ForeignServer["programs"]): void {
  mkdirSync(programs, { recursive: true });
  for (const [program, pattern] of Object.entries(paths)) {
    const [found] = globSync(join(root, pattern));
    if (found === undefined) throw new Error(`Debian ${release} has no ${pattern}`);
    const enter = `unshare --user --map-current-user --keep-caps --root='${root}' --wd="$PWD"`;
    const text = `#!/bin/sh\nexec ${enter} '${found.slice(root.length)}' "$@"\n`;
    writeFileSync(join(programs, program), text, { mode: 0o755 });
  }
}
