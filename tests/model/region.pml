// SPDX-License-Identifier: MIT
//
// A model of what programs do with a snapshot region's shared words: the writer lock, choosing a slot, publishing,
// leasing, arming and ringing, waiting for a slot, giving the memory of stale slots back, dying at any step, and memiod
// clearing up after the dead. run.py checks it with Spin in several sizes, and checks that it notices the mistakes that
// one could make (the MISTAKE_... macros).
//
// One statement here is one access to shared memory, or one system call; statements of different processes interleave
// in every possible way, and all see one memory. That is sequential consistency, which the real machine gives only to
// the accesses that ask for it. It suffices, because each property rests on pairs of "store mine, then load yours",
// and all of these are memory_order_seq_cst in the C++ code (region_memory.h, writer.cpp, reader.cpp) and in
// REGION_FORMAT.md: `leases` then `latest`, `latest` then `leases` and `armed`, `armed` then `latest`, `slot_wanted`
// then `leases`, `leases` then `slot_wanted`. One more pair is memiod's when it gives memory back, `leases` then the
// lock; it meets a writer's lock then `leases`, for which taking the lock has to be memory_order_seq_cst as well
// (MISTAKE_LOCK_ONLY_ACQUIRES shows why). What is weaker only carries data in one direction: the lock hands on what was
// written under it (acquire, release), `latest` hands on a payload (acquire, and the compare-and-swap releases), a
// cleared lease hands back a slot. A payload is modelled as three steps: garbage, then whole, then published; a reader
// looks just before it releases. Memory that was given back is a HOLE.
//
// Time is left out: who may give up, gives up at any moment or never.
//
// What is checked:
//   - no torn read and no hole: a slot whose lease was validated holds the publish that `latest` named, from then until
//     the release, and so does a copy that was validated;
//   - nobody waits for ever: Spin reports every state in which nothing can happen any more and somebody has not ended.
//     A subscriber ends when it sleeps, all writers have ended and it has seen the latest publish; so a lost wake-up
//     is such a state. A writer without a deadline ends when it has published, so a stuck lock or a lost slot is one,
//     too;
//   - at the end the lock is free, no slot is leased, and every publish that was not cut short has happened.

#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef PUBLISHES
#define PUBLISHES 2   /* of each writer */
#endif
#ifndef SUBSCRIBERS
#define SUBSCRIBERS 1 /* read every publish they can, sleeping in between */
#endif
#ifndef READERS
#define READERS 1     /* read now and then */
#endif
#ifndef READS
#define READS 2       /* of each of these */
#endif
#ifndef COPYING
#define COPYING 0     /* these copy the payload without leasing it, and throw torn copies away */
#endif
#ifndef HOLDING
#define HOLDING 0     /* these keep the last but one publish, which leaves room for one more, until that has come */
#endif
#ifndef SHRINKERS
#define SHRINKERS 0   /* give memory back */
#endif
#ifndef MEMIOD_SHRINKS
#define MEMIOD_SHRINKS 0 /* 1: memiod does so, too */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef IMPATIENT
#define IMPATIENT 0   /* so many writers, the first ones, have a deadline */
#endif

#define PROCESSES (WRITERS + SUBSCRIBERS + READERS + SHRINKERS + MEMIOD_SHRINKS)
#define WAITING 16 /* the bit in the lock word */
#define BIT(n) (1 << (n))
#define EVERYBODY (BIT(PROCESSES) - 1)
#define MINE BIT(me)

/* Shared memory. A process's number is its cell. */
byte latest_sequence = 0;
byte latest_slot = 0;
byte lock = 0;
bit slot_wanted = 0;
byte leases[PROCESSES];
byte armed[PROCESSES];
byte content[SLOTS]; /* the sequence that the payload belongs to; GARBAGE while it is written */
#define GARBAGE 255
#define NOTHING 254
#define HOLE 253    /* its memory has been given back */

/* The kernel: who sleeps on which futex, and whose epoll has seen an edge of the doorbell. A bit for each process. */
byte asleep_on_lock = 0;
byte asleep_on_slot = 0;
byte edges = 0;

byte crashes = 0;
byte gone = 0;    /* those that memiod has not cleared up after */
byte writers_left = WRITERS;
byte left = PROCESSES;

/* One of the sleepers, whichever. */
inline wake_one(sleepers) {
  atomic {
    if
    :: sleepers == 0
    :: sleepers & BIT(0) -> sleepers = sleepers & ~BIT(0)
    :: sleepers & BIT(1) -> sleepers = sleepers & ~BIT(1)
    :: sleepers & BIT(2) -> sleepers = sleepers & ~BIT(2)
    :: sleepers & BIT(3) -> sleepers = sleepers & ~BIT(3)
    :: sleepers & BIT(4) -> sleepers = sleepers & ~BIT(4)
    fi
  }
}
#define wake_all(sleepers) sleepers = 0
#define ring() edges = EVERYBODY

/* What memiod sees of the lock. If taking it only acquired, a writer could load the leases before others see that it
   has the lock. */
#ifdef MISTAKE_LOCK_ONLY_ACQUIRES
bit not_seen_yet = 0;
#define LOOKS_FREE (lock == 0 || not_seen_yet)
#define LOCK_IS_NOT_SEEN_YET not_seen_yet = 1;
#define LOCK_IS_SEEN not_seen_yet = 0;
#else
#define LOOKS_FREE (lock == 0)
#define LOCK_IS_NOT_SEEN_YET
#define LOCK_IS_SEEN
#endif

/* memiod, which clears up when a connection has ended, one after the other. */
proctype Broker() {
  byte it;
  bit freed;
end:
  do
  :: left == 0 -> break
  :: atomic {
       gone != 0 ->
       it = 0;
       do
       :: (gone & BIT(it)) == 0 -> it++
       :: else -> break
       od;
       gone = gone & ~BIT(it)
     };
     armed[it] = 0;
#ifndef MISTAKE_LEASES_STAY
     leases[it] = 0;
#endif
#ifdef MISTAKE_WAKES_ONLY_FOR_ITS_OWN_CHANGES
     if
     :: atomic { slot_wanted == 1 -> slot_wanted = 0 }; wake_all(asleep_on_slot)
     :: else
     fi;
#else
     slot_wanted = 0;
     wake_all(asleep_on_slot);
#endif
     if
     :: atomic { (lock & (WAITING - 1)) == it + 1 -> lock = 0; freed = 1 }
     :: else
     fi;
#ifdef MISTAKE_WAKES_ONLY_FOR_ITS_OWN_CHANGES
     if
     :: freed -> wake_all(asleep_on_lock)
     :: else
     fi;
#else
     wake_all(asleep_on_lock);
#endif
#ifndef MISTAKE_BROKER_DOES_NOT_RING
     if
     :: freed -> ring()
     :: else
     fi;
#endif
     atomic {
       freed = 0;
       if
       :: it < WRITERS -> writers_left--
       :: else
       fi;
       it = 0;
       left--
     }
  od
}

/* Every access can be the one that a process does not come to any more. */
#define DIE atomic { crashes < CRASHES -> crashes++; goto died }
#define DO(step) if :: step :: DIE fi

/* Time passes for those who have a deadline. */
#if IMPATIENT
#define TIME_MAY_BE_UP if :: me < IMPATIENT -> late = 1 :: skip fi
#define TIME_IS_UP_FOR(sleepers)                              \
  :: atomic { me < IMPATIENT && (sleepers & MINE) -> sleepers = sleepers & ~MINE; late = 1 }
#else
#define TIME_MAY_BE_UP skip
#define TIME_IS_UP_FOR(sleepers)
#endif

/* futex_wait() on a word of which `condition` says that it still is what it should be. */
#define FUTEX_WAIT(condition, sleepers)                       \
  if                                                          \
  :: atomic { condition -> sleepers = sleepers | MINE }       \
  :: !(condition)                                             \
  :: DIE                                                      \
  fi;                                                         \
  if                                                          \
  :: (sleepers & MINE) == 0                                   \
  TIME_IS_UP_FOR(sleepers)                                    \
  :: DIE                                                      \
  fi

/* lock(): a quick try first. Who gives up has finished. */
inline take_lock() {
  if
  :: atomic { lock == 0 -> lock = me + 1 }; goto has_lock
  :: lock != 0
  :: DIE
  fi;
try_lock:
  if
  :: atomic { lock == 0 -> lock = me + 1 + WAITING }; goto has_lock
  :: atomic { lock != 0 -> seen = lock }
  :: DIE
  fi;
  TIME_MAY_BE_UP;
  if
#ifdef MISTAKE_LATE_SLEEPER_KEEPS_THE_WAKE_UP
  :: late -> goto finished
  :: !late
#else
  :: late && !slept -> goto finished
  :: !late || slept
#endif
  fi;
  if
  :: (seen & WAITING) == 0 ->
     if
     :: atomic { lock == seen -> seen = seen | WAITING; lock = seen }
     :: atomic { lock != seen -> seen = 0 }; goto try_lock
     :: DIE
     fi
  :: (seen & WAITING) != 0
  fi;
  if
  :: late -> goto finished
  :: !late
  fi;
  FUTEX_WAIT(lock == seen, asleep_on_lock);
  atomic { slept = 1; seen = 0 };
#ifdef MISTAKE_LATE_SLEEPER_KEEPS_THE_WAKE_UP
  TIME_MAY_BE_UP;
  if
  :: late -> goto finished
  :: !late
  fi;
#endif
  goto try_lock;
has_lock:
  atomic { seen = 0; slept = 0 }
}

/* Adds the leases of all cells but one to `taken`. Writers do not lease. */
inline look_at_leases(but) {
  i = WRITERS;
  do
  :: atomic { i < PROCESSES && i != but -> taken = taken | leases[i]; i++ }
  :: atomic { i < PROCESSES && i == but -> i++ }
  :: atomic { i == PROCESSES -> i = 0; break }
  od
}

#define UNLOCK                                                \
  if                                                          \
  :: atomic { lock == me + 1 -> lock = 0 }                    \
  :: lock != me + 1 ->                                        \
     DO(atomic { assert(lock == me + 1 + WAITING); lock = 0 }); \
     DO(wake_one(asleep_on_lock))                             \
  :: DIE                                                      \
  fi

#define END_LEASE                                             \
  DO(leases[me] = 0);                                         \
  if                                                          \
  :: slot_wanted == 1 ->                                      \
     DO(slot_wanted = 0);                                     \
     DO(wake_all(asleep_on_slot))                             \
  :: slot_wanted == 0                                         \
  :: DIE                                                      \
  fi

#ifdef MISTAKE_WRITER_CLEARS_ARMED
#define AFTER_RINGING armed[i] = 0;
#else
#define AFTER_RINGING
#endif
#define RING_IF_ARMED                                         \
  i = WRITERS; /* only readers arm */                         \
  do                                                          \
  :: i < PROCESSES && armed[i] == old_sequence + 1 ->         \
     DO(ring());                                              \
     AFTER_RINGING                                            \
     break                                                    \
  :: i < PROCESSES && armed[i] != old_sequence + 1 -> i++     \
  :: i == PROCESSES -> break                                  \
  :: DIE                                                      \
  od;                                                         \
  i = 0

proctype Writer(byte me) {
  byte i, published, seen, old_sequence, taken, slot;
  bit late, slept, announced;

next:
  if
  :: published == PUBLISHES -> goto finished
  :: published < PUBLISHES
  fi;

  take_lock();
  atomic { LOCK_IS_NOT_SEEN_YET old_sequence = latest_sequence; slot = latest_slot };

  /* begin(): a slot that is neither the latest nor leased */
look:
  taken = BIT(slot);
  look_at_leases(PROCESSES);
  LOCK_IS_SEEN
  if
  :: atomic {
       taken != BIT(SLOTS) - 1 ->
       slot = 0;
       do
       :: (taken & BIT(slot)) != 0 -> slot++
       :: else -> break
       od;
       taken = 0;
       announced = 0
     };
     goto fill
  :: taken == BIT(SLOTS) - 1
  fi;
  taken = 0;
  TIME_MAY_BE_UP;
  if
  :: late -> UNLOCK; goto finished
  :: !late
  fi;
#ifdef MISTAKE_SLEEPS_WITHOUT_ANOTHER_LOOK
  atomic { slot_wanted = 1; announced = 1 };
#endif
  if
  :: announced -> FUTEX_WAIT(slot_wanted, asleep_on_slot)
  :: !announced
  fi;
  if
  :: late -> UNLOCK; goto finished
  :: !late
  fi;
  DO(slot_wanted = 1);
  announced = 1;
  goto look;

  /* The payload, while the writer takes its time. */
fill:
  DO(content[slot] = GARBAGE);
  DO(content[slot] = old_sequence + 1);

  /* commit() */
  DO(atomic {
    assert((lock & (WAITING - 1)) == me + 1);
    assert(latest_sequence == old_sequence);
    latest_sequence = old_sequence + 1;
    latest_slot = slot;
    slot = 0
  });
  published++;
#ifdef MISTAKE_RINGS_WITHOUT_THE_LOCK
  UNLOCK;
  RING_IF_ARMED;
#else
  RING_IF_ARMED;
  UNLOCK;
#endif
  old_sequence = 0;
  goto next;

finished: /* closes its handle, which has nothing left to clear up */
  atomic { published = 0; seen = 0; old_sequence = 0; taken = 0; slot = 0; late = 0; slept = 0; announced = 0 };
  atomic { writers_left--; left--; goto end };

died:
  atomic {
    published = 0; seen = 0; old_sequence = 0; taken = 0; slot = 0; i = 0; late = 0; slept = 0; announced = 0;
    asleep_on_lock = asleep_on_lock & ~MINE;
    asleep_on_slot = asleep_on_slot & ~MINE;
    gone = gone | MINE
  };
end:
  skip
}

/* One that subscribes reads until it has had the last publish, sleeping by the doorbell; others just a few times. */
proctype Reader(byte me; bit subscribes) {
  byte reads, seen, sequence, slot, copy;

  if
  :: subscribes
  :: !subscribes -> seen = NOTHING
  fi;
again:
  atomic { sequence = latest_sequence; slot = latest_slot };
  if
  :: sequence == seen && !subscribes -> goto finished
  :: sequence == seen && subscribes ->
     /* arm() */
     DO(armed[me] = seen + 1);
#ifndef MISTAKE_ARMS_WITHOUT_ANOTHER_LOOK
     if
     :: latest_sequence != seen -> goto again
     :: latest_sequence == seen
     :: DIE
     fi;
#endif
     if
     :: atomic { (edges & MINE) != 0 -> edges = edges & ~MINE }; goto again
     :: atomic { writers_left == 0 && latest_sequence == seen && (edges & MINE) == 0 -> goto finished }
     :: DIE
     fi
  :: sequence != seen
  fi;

#if COPYING
  if
  :: subscribes
  :: atomic { !subscribes -> copy = content[slot] };
#ifdef MISTAKE_TAKES_A_HOLE_FOR_CORRUPT
     assert(copy != HOLE); /* without another look it would say so */
#endif
#ifndef MISTAKE_COPIES_WITHOUT_ANOTHER_LOOK
     if
     :: atomic { !(latest_sequence == sequence && latest_slot == slot) -> copy = 0 }; goto again
     :: latest_sequence == sequence && latest_slot == slot
     fi;
#endif
     assert(copy == sequence);
     copy = 0;
     goto has_read
  fi;
#endif

  /* lease() */
  DO(leases[me] = BIT(slot));
#ifndef MISTAKE_LEASES_WITHOUT_ANOTHER_LOOK
  if
  :: !(latest_sequence == sequence && latest_slot == slot) ->
#ifdef MISTAKE_A_LATE_LEASE_WAKES_NOBODY
     leases[me] = 0;
#else
     END_LEASE;
#endif
     goto again
  :: latest_sequence == sequence && latest_slot == slot
  :: DIE
  fi;
#endif
  /* What has been overwritten never becomes this publish again, so looking last is enough. */
  assert(content[slot] == sequence);
#if HOLDING
  if
  :: sequence == WRITERS * PUBLISHES - 1 -> writers_left == 0
  :: sequence != WRITERS * PUBLISHES - 1
  fi;
#endif
  END_LEASE;
has_read:
  atomic { seen = sequence; sequence = 0; slot = 0 };
  if
  :: subscribes -> goto again
  :: !subscribes && reads + 1 < READS -> reads++; goto again
  :: !subscribes && reads + 1 == READS
  fi;

finished:
  atomic { reads = 0; seen = 0; sequence = 0; slot = 0; armed[me] = 0; left--; goto end };

died:
  atomic { reads = 0; seen = 0; sequence = 0; slot = 0; gone = gone | MINE };
end:
  skip
}

#if SHRINKERS + MEMIOD_SHRINKS
/* Gives the memory of stale slots back, one after the other. A client sets its bit under the lock: while it waits for
   the lock it has nothing that the lock's holder could wait for, so it needs no deadline. memiod must not wait for the
   lock, nor take it, because nobody would free it if memiod died; so it sets its bit and then looks at the lock. If it
   dies its bit stays until the next memiod clears up, which is the Broker here. */
proctype Shrinker(byte me; bit is_memiod) {
  byte i, s, seen, taken;
  bit late, slept;

next:
  if
  :: s == SLOTS -> goto finished
  :: s < SLOTS
  fi;
#ifdef MISTAKE_SHRINKER_WAITS_FOR_NO_WRITER
  DO(leases[me] = BIT(s));
#else
  if
  :: !is_memiod ->
#ifdef MISTAKE_SHRINKER_LEASES_BEFORE_IT_LOCKS
     DO(leases[me] = BIT(s));
     take_lock();
#else
     take_lock();
     DO(leases[me] = BIT(s));
#endif
     UNLOCK
  :: is_memiod ->
#ifdef MISTAKE_MEMIOD_LEASES_AFTER_ITS_LOOK
     if
     :: LOOKS_FREE -> DO(leases[me] = BIT(s))
     :: !LOOKS_FREE -> goto finished
     :: DIE
     fi
#else
     DO(leases[me] = BIT(s));
     if
     :: LOOKS_FREE
     :: !LOOKS_FREE -> END_LEASE; goto finished
     :: DIE
     fi
#endif
  fi;
#endif
  /* No writer chooses the slot from here on, and none has chosen it, unless it is the latest. */
#ifndef MISTAKE_SHRINKER_PUNCHES_THE_LATEST
  if
  :: latest_slot == s -> goto done
  :: latest_slot != s
  fi;
#endif
#ifndef MISTAKE_SHRINKER_IGNORES_LEASES
  look_at_leases(me);
  if
  :: atomic { (taken & BIT(s)) != 0 -> taken = 0 }; goto done
  :: atomic { (taken & BIT(s)) == 0 -> taken = 0 }
  fi;
#endif
  DO(content[s] = HOLE);
done:
#ifdef MISTAKE_SHRINKER_WAKES_NOBODY
  DO(leases[me] = 0);
#else
  END_LEASE;
#endif
  s++;
  goto next;

finished:
  atomic { s = 0; seen = 0; late = 0; slept = 0; left--; goto end };

died:
  atomic {
    s = 0; i = 0; seen = 0; taken = 0; late = 0; slept = 0;
    asleep_on_lock = asleep_on_lock & ~MINE;
    gone = gone | MINE
  };
end:
  skip
}
#endif

init {
  byte i;
  atomic {
    do
    :: i < WRITERS -> run Writer(i); i++
    :: else -> break
    od;
    do
    :: i < WRITERS + SUBSCRIBERS -> run Reader(i, 1); i++
    :: i >= WRITERS + SUBSCRIBERS && i < WRITERS + SUBSCRIBERS + READERS -> run Reader(i, 0); i++
#if SHRINKERS + MEMIOD_SHRINKS
    :: i >= WRITERS + SUBSCRIBERS + READERS && i < PROCESSES -> run Shrinker(i, i == PROCESSES - MEMIOD_SHRINKS); i++
#endif
    :: else -> break
    od;
    i = 0;
    run Broker()
  };
  left == 0;
  assert(lock == 0);
  do
  :: i < PROCESSES ->
     assert(leases[i] == 0 && armed[i] == 0 && (asleep_on_lock & BIT(i)) == 0 && (asleep_on_slot & BIT(i)) == 0);
     i++
  :: else -> break
  od;
#if CRASHES == 0 && IMPATIENT == 0
  assert(latest_sequence == WRITERS * PUBLISHES);
#endif
}
