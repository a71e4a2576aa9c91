// Loaded before Azurite (node --require). Azurite saves its metadata when it is told to stop; this makes sure that it
// is told once, that it ends in time, and, with SENSORWATCH_EXIT_WITH_PARENT, that it ends with its parent.
"use strict";

const END_AFTER_MS = 1800;
let stopping = false;

function onSignal() {
  if (stopping) {
    return;
  }
  stopping = true;
  // Unreferenced: a server that has closed does not wait for it, one that hangs (or has not begun) still ends.
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
  // A pipe (a file has no such method) that stays open must not keep a server that has closed.
  process.stdin.unref?.();
}
