// SPDX-License-Identifier: MIT
//
// A model of a stream: a writer and a reader who sleep when the ring is full or empty, give up, or die at any step; and
// memiod, which clears the will of one that is gone and rings. run.py checks it with Spin in several sizes, and checks
// that it notices the mistakes that one could make (the MISTAKE_... macros).
//
// One statement here is one access to shared memory, and all see one memory, which is what sequential consistency means;
// what is plain in STREAM_FORMAT.md (entries and buffers) lies between two accesses that are not. The counters wrap at
// WRAP. A doorbell is a bit, because an epoll keeps the edge of a ring until it is asked. Lies are not modelled: a check
// that would call the truth a lie is an assertion here.
//
// What is checked:
//   - the reader takes each chunk once, in order, and nobody writes a buffer while it is in use;
//   - nobody sleeps for ever (an invalid end state): every process ends, with the end of the stream or with an error;
//   - an error is told only to one whose other side has died or given up, and everything that was put in before is taken
//     first; the writer's good end means that the reader has given everything back.

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef CHUNKS
#define CHUNKS 4
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef GIVE_UP
#define GIVE_UP 0 /* 1: either side may at any time */
#endif
#ifndef HOLDING
#define HOLDING 0 /* 1: the reader gives chunks back the wrong way round */
#endif

#define WRAP 8 /* a multiple of CAPACITY, and more than twice as much */
#define FIRST (WRAP - 1)
#define SUM(a, b) (((a) + (b)) % WRAP)
#define DIFFERENCE(a, b) (((a) + WRAP - (b)) % WRAP)
#define AT(number) ((number) % CAPACITY)

#define OPEN 0
#define FINISHED 1
#define GIVEN_UP 2

/* Shared memory. */
byte head = FIRST;
byte tail = FIRST;
byte entry[CAPACITY];  /* the chunk that it says, counted from 1 */
byte buffer[CAPACITY]; /* the chunk that is in there */
byte writer_state = OPEN;
byte reader_state = OPEN;
bit writer_waits = 0;
bit reader_waits = 0;
bit writer_will = 1; /* the writer has made the stream */
bit reader_will = 0;
bit reader_joined = 0;

/* Doorbells: that on which the writer sleeps, and that on which the reader does. */
bit writer_bell = 0;
bit reader_bell = 0;

/* What only the model knows. */
byte crashes = 0;
bit writer_gone = 0; /* memiod is to clear up after it */
bit reader_gone = 0;
bit writer_over = 0; /* it has died, or its object is gone */
bit reader_over = 0;
byte left = 2;
bit all_put_in = 0;
byte in_use = 0; /* the chunks that the reader has, a bit for each place */

proctype Broker() {
end:
  do
  :: left == 0 && !writer_gone && !reader_gone -> break
  :: writer_gone ->
#ifdef MISTAKE_MEMIOD_RINGS_FIRST
     reader_bell = 1; writer_will = 0;
#else
     writer_will = 0;
#ifndef MISTAKE_MEMIOD_DOES_NOT_RING
     reader_bell = 1;
#endif
#endif
     writer_gone = 0
  :: reader_gone ->
#ifdef MISTAKE_MEMIOD_RINGS_FIRST
     writer_bell = 1; reader_will = 0;
#else
     reader_will = 0;
#ifndef MISTAKE_MEMIOD_DOES_NOT_RING
     writer_bell = 1;
#endif
#endif
     reader_gone = 0
  od
}

/* Every access can be the one that a side does not come to any more. */
#define DIE atomic { crashes < CRASHES -> crashes++; goto over }
#define DO(step) if :: step :: DIE fi

#ifdef MISTAKE_CLEARS_WAITS_AFTER_RINGING
#define RING(waits, bell) DO(bell = 1); DO(waits = 0)
#else
#define RING(waits, bell) DO(waits = 0); DO(bell = 1)
#endif
#define WAKE(waits, bell)     \
  DO(seen = waits);           \
  if                          \
  :: seen -> RING(waits, bell) \
  :: else                     \
  fi

proctype Writer() {
  byte chunk = 0;
  byte mine = FIRST;  /* the tail */
  byte known = FIRST; /* the head that was accepted */
  byte state, now;
  bit lives, seen;

next:
  if
  :: chunk == CHUNKS -> goto finish
  :: GIVE_UP -> DO(writer_state = GIVEN_UP); goto wake_and_end
  :: chunk < CHUNKS
  fi;
  DO(state = reader_state);
  DO(known = head);
  if
  :: state == GIVEN_UP -> goto told
  :: else -> assert(state == OPEN)
  fi;
  if
  :: DIFFERENCE(mine, known) == CAPACITY -> goto sleep
  :: else
  fi;

  assert((in_use & (1 << AT(mine))) == 0);
  DO(buffer[AT(mine)] = 0); /* half-written */
  DO(buffer[AT(mine)] = chunk + 1);
#ifdef MISTAKE_WAKES_BEFORE_IT_STORES
  WAKE(reader_waits, reader_bell);
#endif
#ifdef MISTAKE_STORES_THE_ENTRY_LAST
  DO(tail = SUM(mine, 1));
  DO(entry[AT(mine)] = chunk + 1);
#else
  DO(entry[AT(mine)] = chunk + 1);
  DO(atomic { tail = SUM(mine, 1); all_put_in = (chunk + 1 == CHUNKS) });
#endif
  atomic { mine = SUM(mine, 1); chunk++ };
  if
  :: chunk == CHUNKS -> DO(writer_state = FINISHED)
  :: else
  fi;
#ifndef MISTAKE_WAKES_BEFORE_IT_STORES
  WAKE(reader_waits, reader_bell);
#endif
  goto next;

finish:
#ifdef MISTAKE_LOOKS_AT_THE_HEAD_FIRST
  DO(known = head);
  DO(state = reader_state);
#else
  DO(state = reader_state);
  DO(known = head);
#endif
  if
  :: state == GIVEN_UP -> goto told
  :: else -> assert(state == OPEN || known == mine) /* a reader cannot finish before */
  fi;
  if
  :: known == mine -> goto ended_well
  :: else
  fi;

sleep:
  DO(writer_waits = 1);
#ifndef MISTAKE_SLEEPS_WITHOUT_A_LOOK_AT_THE_RING
  DO(lives = !reader_joined || reader_will);
  DO(state = reader_state);
  DO(now = head);
  if
  :: now != known -> goto look_again
  :: else
  fi;
  if
  :: state == GIVEN_UP -> goto told
  :: else
  fi;
  if
  :: !lives -> goto find_it_gone
  :: else
  fi;
#endif
  DO(atomic { writer_bell -> writer_bell = 0 });
look_again:
  if
  :: chunk == CHUNKS -> goto finish
  :: else -> goto next
  fi;

told:
  assert(reader_state == GIVEN_UP);
  goto give_up;
find_it_gone:
  assert(reader_over);
give_up:
  if
  :: writer_state == OPEN -> DO(writer_state = GIVEN_UP)
  :: else
  fi;
wake_and_end:
  WAKE(reader_waits, reader_bell);
  goto over;

ended_well:
  assert(in_use == 0 && head == tail && all_put_in);
over:
  atomic { writer_over = 1; writer_gone = 1; left-- }
}

proctype Reader() {
  byte chunk = 0;     /* taken */
  byte next = FIRST;  /* the number of the next entry */
  byte known = FIRST; /* the tail that was accepted */
  byte mine = FIRST;  /* the head */
  byte state, now;
  bit lives, seen;
  bit holds = 0; /* the entry before the next */

#ifdef MISTAKE_JOINS_BEFORE_ITS_WILL
  reader_joined = 1;
  reader_will = 1;
#else
  reader_will = 1;
  reader_joined = 1;
#endif

take:
  if
  :: chunk == CHUNKS -> goto ended_well
  :: GIVE_UP -> DO(reader_state = GIVEN_UP); goto wake_and_end
  :: chunk < CHUNKS
  fi;
  if
  :: next != known -> goto use
  :: else
  fi;
  DO(state = writer_state);
  DO(known = tail);
  if
  :: next != known -> goto use
  :: else -> assert(state != FINISHED) /* the last would be there */
  fi;
  if
  :: state == GIVEN_UP -> goto told
  :: else
  fi;

  DO(reader_waits = 1);
#ifndef MISTAKE_SLEEPS_WITHOUT_A_LOOK_AT_THE_RING
#ifdef MISTAKE_LOOKS_AT_THE_TAIL_FIRST
  DO(known = tail);
  DO(lives = writer_will);
  DO(state = writer_state);
#else
  DO(lives = writer_will);
  DO(state = writer_state);
  DO(known = tail);
#endif
  if
  :: next != known -> goto use
  :: else -> assert(state != FINISHED)
  fi;
  if
  :: state == GIVEN_UP -> goto told
  :: else
  fi;
  if
  :: !lives -> goto find_it_gone
  :: else
  fi;
#endif
  DO(atomic { reader_bell -> reader_bell = 0 });
  goto take;

use:
  assert(DIFFERENCE(known, mine) <= CAPACITY);
  atomic {
    assert(entry[AT(next)] == chunk + 1);
    assert(buffer[AT(next)] == chunk + 1);
    in_use = in_use | (1 << AT(next));
    next = SUM(next, 1);
    chunk++
  };
  DO(assert(buffer[AT(SUM(next, WRAP - 1))] == chunk)); /* used where it lies */
#if HOLDING
  if
  :: !holds && chunk < CHUNKS -> holds = 1; goto take
  :: !holds
  :: holds ->
#ifdef MISTAKE_GIVES_BACK_WHAT_IT_HOLDS
     mine = SUM(mine, 1);
     DO(atomic { head = mine; in_use = in_use & ~(1 << AT(SUM(next, WRAP - 1))) });
     WAKE(writer_waits, writer_bell);
#else
     in_use = in_use & ~(1 << AT(SUM(next, WRAP - 1))); /* the newer one first, and the head stays */
#endif
     DO(assert(buffer[AT(SUM(next, WRAP - 2))] == chunk - 1)); /* the older one is still in use */
     holds = 0
  fi;
#endif
  atomic { mine = next; in_use = 0 };
  DO(head = mine);
  if
  :: chunk == CHUNKS -> DO(reader_state = FINISHED)
  :: else
  fi;
  WAKE(writer_waits, writer_bell);
  goto take;

told:
  assert(writer_state == GIVEN_UP && next == tail);
  goto give_up;
find_it_gone:
  assert(writer_over && next == tail && !all_put_in);
give_up:
  DO(reader_state = GIVEN_UP);
wake_and_end:
  WAKE(writer_waits, writer_bell);
  goto over;

ended_well:
  assert(all_put_in);
over:
  atomic { in_use = 0; reader_over = 1; reader_gone = 1; left-- }
}

init {
  atomic {
    run Broker();
    run Writer();
    run Reader()
  }
}
