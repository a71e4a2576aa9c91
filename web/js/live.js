/** Polling with exponential back-off after errors, paused while the browser tab is hidden. */

const LONGEST_SECONDS = 60;
const listeners = new Set();

/** Call a function with "live", "paused" or "offline" after every change of the connection. */
export function onConnection(listener) {
  listeners.add(listener);
}

function notify(state) {
  for (const listener of listeners) listener(state);
}

/**
 * Poll until stopped.
 * @param {object} options
 * @param {(signal: AbortSignal) => Promise<unknown>} options.load
 * @param {(data: unknown) => void} options.seen called with the loaded data
 * @param {(error: Error) => void} options.failed
 * @param {number} [options.seconds] from the end of one load to the start of the next
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
      notify("live");
      seen(data);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (!error.status) notify("offline");
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
      notify("paused");
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
