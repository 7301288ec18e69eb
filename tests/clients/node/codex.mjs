// Codex, with its defaults but the address: a message, its continuation, and a command that it runs here.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BASE, MODEL, run } from "./checks.mjs";

const codex = join(dirname(fileURLToPath(import.meta.url)), "node_modules/.bin/codex");
const home = mkdtempSync(join(tmpdir(), "codex-"));
const provider = `[model_providers.here]\nname = "here"\nbase_url = "${BASE}"\nwire_api = "responses"\nenv_key = "OPENAI_API_KEY"\n`;
writeFileSync(join(home, "config.toml"), `model = "${MODEL}"\nmodel_provider = "here"\n\n${provider}`);

function exec(wanted, ...args) {
  const flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  const made = spawnSync(codex, ["exec", ...args.slice(0, -1), ...flags, args.at(-1)], {
    cwd: home,
    env: { ...process.env, CODEX_HOME: home },
    encoding: "utf8",
    input: "",
    timeout: 60_000,
  });
  if (made.status !== 0 || !made.stdout.includes(wanted)) throw new Error(`${made.stdout} ${made.stderr}`.slice(-200));
}

await run({
  message: () => exec("ready", "ECHO ready"),
  continued: () => exec("again", "resume", "--last", "ECHO again"),
  tools: () => {
    exec("done", 'CALLTOOL exec_command {"cmd": "touch made"}');
    if (!existsSync(join(home, "made"))) throw new Error("the command did not run");
  },
});
