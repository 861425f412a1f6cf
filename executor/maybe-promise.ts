// A value now or later. Almost every batch is computed without waiting; a promise per node and batch would put the whole
// tree on the microtask queue for nothing. So operators and expressions return the value itself when they have it and a
// promise only when something below them really waits (a lock, a sleep, a turn given to other sessions).

export type MaybePromise<T> = T | Promise<T>;

/** `then` continues with the value of `value`: at once when it is there. */
export function chain<T, R>(value: MaybePromise<T>, then: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(then) : then(value);
}

/** All of `make(0..count-1)`, strictly one after the other: the next starts when the one before is done. */
export function sequence<T>(count: number, make: (index: number) => MaybePromise<T>): MaybePromise<T[]> {
  const done: T[] = [];
  for (let i = 0; i < count; i++) {
    const value = make(i);
    if (value instanceof Promise) return continueSequence(done, value, count, make);
    done.push(value);
  }
  return done;
}

/** Does `work` for each item, strictly one after the other. */
export function forEach<T>(
  items: readonly T[],
  work: (item: T) => MaybePromise<void>,
  from = 0,
): MaybePromise<void> {
  for (let i = from; i < items.length; i++) {
    const doing = work(items[i] as T);
    if (doing instanceof Promise) return doing.then(() => forEach(items, work, i + 1));
  }
}

async function continueSequence<T>(
  done: T[],
  pending: Promise<T>,
  count: number,
  make: (index: number) => MaybePromise<T>,
): Promise<T[]> {
  done.push(await pending);
  while (done.length < count) done.push(await make(done.length));
  return done;
}
