/** Polling that spares the server: back-off while it fails, a pause while nobody looks. */

const LONGEST_SECONDS = 60;
const listeners = new Set();

/** Call a function with "live", "paused" or "offline" whenever that changes. */
export function onConnection(listener) {
  listeners.add(listener);
}

function tell(state) {
  for (const listener of listeners) listener(state);
}

/**
 * Load again and again until stopped.
 * @param {object} options
 * @param {(signal: AbortSignal) => Promise<unknown>} options.load
 * @param {(data: unknown) => void} options.seen called with what was loaded
 * @param {(error: Error) => void} options.failed
 * @param {number} [options.seconds] between the end of one load and the next
 * @returns {{refresh: () => Promise<void>, stop: () => void}}
 */
export function poll({ load, seen, failed, seconds = 5 }) {
  let timer = 0;
  let failures = 0;
  let running = new AbortController();
  let stopped = false;

  async function once() {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      const data = await load(signal);
      if (signal.aborted) return;
      failures = 0;
      tell("live");
      seen(data);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (!error.status) tell("offline");
      failed(error);
    }
    plan();
  }

  function plan() {
    if (stopped || document.hidden) return;
    timer = setTimeout(once, Math.min(seconds * 2 ** failures, LONGEST_SECONDS) * 1000);
  }

  function visibility() {
    if (document.hidden) {
      clearTimeout(timer);
      tell("paused");
    } else {
      once();
    }
  }

  document.addEventListener("visibilitychange", visibility);
  once();
  return {
    refresh: once,
    stop() {
      stopped = true;
      clearTimeout(timer);
      running.abort();
      document.removeEventListener("visibilitychange", visibility);
    },
  };
}
