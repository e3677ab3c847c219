// SPDX-License-Identifier: MIT
//
// A model of a classic region: one slot, which is written in place, under a seqlock. Writers who publish, abort, or die
// at any step; readers who copy word by word; memiod, which frees the lock of the dead. run.py checks it with Spin in
// several sizes, and checks that it notices the mistakes that one could make (the MISTAKE_... macros).
//
// One statement here is one access to shared memory, and all see one memory. On the real machine the fences see to it
// that a reader who has copied a byte of a write then sees its mark; here that goes without saying. How one waits for
// the lock, and how one is woken, is in region.pml; here the lock is taken when it is free. Programs that know only the
// header are left out, because nothing is promised for them.
//
// What is checked:
//   - a copy that was accepted is one whole write, with its length and its version, namely the one that its sequence
//     counts;
//   - the next write mends what a write that was cut short has left: where a reader finds the mark, somebody has the
//     lock, or the last write was cut short. So every reader ends, and with a copy unless the very last write was;
//   - a reader throws a copy away only if somebody wrote in the meantime.

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WRITES
#define WRITES 2   /* of each writer */
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef READS
#define READS 2    /* of each reader */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define EVERYBODY 255
#define WORDS 2
#define NOTHING 255

/* `latest`: the sequence and, in the low bits, the index. */
#define SEQUENCE(latest) ((latest) >> 2)
#define INDEX(latest) ((latest) & 3)
#define LATEST(sequence) ((sequence) << 2)
#ifdef MISTAKE_WRITES_WITHOUT_A_MARK
#define MARK 0
#else
#define MARK 1
#endif

/* Shared memory. */
byte latest = 0;
byte lock = 0;
byte version = 0;
byte length = 0;
byte payload[WORDS]; /* which write put the word there */

/* What only the model knows. */
byte writes = 0;         /* so many have begun */
bit cut_short = 0;       /* the last one was, after it had set the mark */
byte disturbed = 0;      /* the readers that somebody has written under, a bit for each */
byte write_of[WRITERS * WRITES + 1]; /* for each sequence */
byte version_of[WRITERS * WRITES + 1];
byte length_of[WRITERS * WRITES + 1];

byte crashes = 0;
byte gone = 0; /* the cell, plus 1, of one that memiod has to clear up after */
byte writers_left = WRITERS;
byte left = WRITERS + READERS;

/* memiod, which frees the lock. Writers die only while they hold it: otherwise they leave nothing behind. */
proctype Broker() {
end:
  do
  :: left == 0 -> break
  :: atomic { gone != 0 -> assert(lock == gone); lock = 0; gone = 0; writers_left--; left-- }
  od
}

/* Every access can be the one that a writer does not come to any more. */
#define DIE atomic { crashes < CRASHES -> crashes++; goto died }
#define DO(step) if :: step :: DIE fi
#define STORE(what) DO(atomic { what; disturbed = EVERYBODY })

proctype Writer(byte me) {
  byte i, done, size, write, old;

next:
  if
  :: done == WRITES -> goto finished
  :: done < WRITES
  fi;
  atomic { lock == 0 -> lock = me + 1 };

  /* begin() */
  if
  :: size = 1
  :: size = WORDS
  fi;
  atomic {
    writes++;
    write = writes;
#ifdef MISTAKE_DOES_NOT_MEND
    old = latest
#else
    old = LATEST(SEQUENCE(latest))
#endif
  };
  STORE(latest = old + MARK);

  /* The payload. */
  do
  :: i < size -> STORE(payload[i] = write); i++
  :: i == size -> break
  :: goto abort
  od;
  i = 0;

  /* commit(). A version is a label: different writes may have the same one. */
#ifndef MISTAKE_WRITES_THE_HEADER_LAST
  STORE(version = me + 1);
  STORE(length = size);
#endif
  STORE(assert(lock == me + 1 && latest == old + MARK);
        latest = LATEST(SEQUENCE(old) + 1);
        cut_short = 0;
        write_of[SEQUENCE(latest)] = write;
        version_of[SEQUENCE(latest)] = me + 1;
        length_of[SEQUENCE(latest)] = size);
#ifdef MISTAKE_WRITES_THE_HEADER_LAST
  STORE(version = me + 1);
  STORE(length = size);
#endif
  goto unlock;

abort:
  i = 0;
#ifdef MISTAKE_ABORT_CLEARS_THE_MARK
  STORE(latest = old);
#else
  cut_short = 1;
#endif
unlock:
  DO(atomic { lock = 0; size = 0; write = 0; old = 0; done++ });
  goto next;

finished:
  atomic { done = 0; writers_left--; left--; goto end };

died: /* holding the lock */
  atomic {
    if
    :: INDEX(latest) != 0 -> cut_short = 1
    :: else
    fi;
    i = 0; done = 0; size = 0; write = 0; old = 0;
    gone = me + 1
  };
end:
  skip
}

proctype Reader(byte me) {
  byte i, reads, seen = NOTHING, before, its_version, its_length, copy[WORDS];

again:
  atomic {
    before = latest;
    disturbed = disturbed & ~(1 << me);
    assert(INDEX(before) <= 1); /* otherwise corrupt */
    assert(INDEX(before) == 0 || lock != 0 || cut_short)
  };
#ifndef MISTAKE_IGNORES_THE_MARK
  if
  :: INDEX(before) == 1 ->
     before = 0;
     /* Looks again and again. */
     if
     :: INDEX(latest) != 1 -> goto again
     :: atomic { writers_left == 0 && INDEX(latest) == 1 -> goto finished }
     fi
  :: INDEX(before) != 1
  fi;
#endif
  if
  :: SEQUENCE(before) == seen -> goto has_read
  :: SEQUENCE(before) != seen
  fi;
  its_version = version;
  its_length = length;
  do
  :: i < its_length -> copy[i] = payload[i]; i++
  :: i == its_length -> break
  od;
  i = 0;
  if
  :: version != its_version -> goto changed
  :: version == its_version
  fi;
  if
  :: length != its_length -> goto changed
  :: length == its_length
  fi;
#ifndef MISTAKE_ACCEPTS_WITHOUT_ANOTHER_LOOK
  if
  :: latest != before -> goto changed
  :: latest == before
  fi;
#endif
  atomic {
    seen = SEQUENCE(before);
    assert(its_version == version_of[seen] && its_length == length_of[seen]);
    do
    :: i < its_length -> assert(copy[i] == write_of[seen]); i++
    :: else -> break
    od;
    i = 0
  };
has_read:
  atomic { before = 0; its_version = 0; its_length = 0; copy[0] = 0; copy[1] = 0; reads++ };
  if
  :: reads < READS -> goto again
  :: reads == READS -> goto finished
  fi;

changed:
  atomic {
    assert(disturbed & (1 << me));
    before = 0; its_version = 0; its_length = 0; copy[0] = 0; copy[1] = 0
  };
  goto again;

finished:
  atomic { reads = 0; seen = 0; disturbed = disturbed | (1 << me); left-- }
}

init {
  byte i;
  atomic {
    do
    :: i < WRITERS -> run Writer(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < READERS -> run Reader(i); i++
    :: else -> break
    od;
    i = 0;
    run Broker()
  };
  left == 0;
  assert(lock == 0)
}
