// Runs a client's checks, and prints a line for each: `ok NAME`, or `no NAME: why`. See programs/checks.py.
export const BASE = process.argv[2] + "/v1";
export const MODEL = process.argv[3];
export const CALL = 'CALLTOOL weather {"at": "Bonn"}';

export function equal(got, wanted) {
  if (got !== wanted) throw new Error(`${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`no ${name}: ${error.name}: ${String(error.message).replace(/\s+/g, " ").slice(0, 200)}`);
    }
  }
}
