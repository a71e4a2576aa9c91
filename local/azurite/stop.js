// Loaded before Azurite (node --require). Azurite saves its metadata when it gets a signal to stop. This script makes
// sure that it stops once, in time and, with SENSORWATCH_EXIT_WITH_PARENT, together with its parent.
"use strict";

const END_AFTER_MS = 1800;
let stopping = false;

function onSignal() {
  if (stopping) {
    return;
  }
  stopping = true;
  // Unreferenced, so that a closed server does not wait for it; a server that hangs or has not started still ends.
  setTimeout(() => process.exit(0), END_AFTER_MS).unref();
}

process.on("SIGTERM", onSignal);
process.on("SIGINT", onSignal);

// Ctrl-C in a terminal followed by the supervisor's SIGTERM closes the server twice; Azurite rejects the second close,
// which would end the process before the first one has saved.
process.on("unhandledRejection", (reason) => {
  if (!stopping) {
    throw reason;
  }
});

if (process.env.SENSORWATCH_EXIT_WITH_PARENT === "1") {
  process.stdin.once("end", () => process.kill(process.pid, "SIGTERM"));
  process.stdin.once("error", () => process.kill(process.pid, "SIGTERM"));
  process.stdin.resume();
  // An open pipe must not keep a closed server running. A file has no such method.
  process.stdin.unref?.();
}
