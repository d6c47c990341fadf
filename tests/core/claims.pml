/* The protocol of claims for one operation, for spin: what `ledger/lifecycle.py` and `ledger/steps.py` say, and no more.
 *
 * Workers claim, send, record; each may crash at any point between, or be paused there for ever (spin interleaves all
 * of it), and the lease of a running record may lapse at any moment. An answer may be lost, a request be refused. A
 * person settles an unknown by what really happened, once nobody is left who may still send.
 *
 * Proved: at most one effect; a replay only of what happened; `failed` only where nothing happened.
 * Words in capitals behind a row are its trigger in the table. -DRESEND: the provider honours our key. The other
 * macros plant one bug each, and the proof must fail: STEAL, BLIND_SWAP, BLIND_FINISH, SEND_FIRST, RERUN_UNKNOWN,
 * REFUSAL_SETTLES.
 */
#define WORKERS 2
#define ATTEMPTS 2
#ifndef CRASHES
#define CRASHES 2
#define RENEWALS 1
#endif

mtype = { absent, running, success, failed, unknown };

mtype status = absent;
byte owner, life, epoch, generation;   /* whose claim it is: which worker, in which of its lives */
byte beats;                            /* heartbeats, as the record shows them */
bool lapsed, resent;                   /* no heartbeat within the lease; claimed to send under the same key again */

byte lives[WORKERS];                   /* how often each worker was started */
byte crashes = CRASHES, renewals = RENEWALS;
byte able;                             /* executions that may still send */
byte effects;
bool honoured[5];                      /* generations whose key the provider has seen */

#define MINE    (owner == me && life == lives[me] && epoch == mine)
#define AS_SEEN (status == saw && owner == saw_owner && life == saw_life && epoch == saw_epoch && beats == saw_beats)
#ifdef BLIND_SWAP
#define SWAPS true
#else
#define SWAPS AS_SEEN
#endif

inline take(new_generation) {
    status = running; owner = me; life = lives[me]; epoch++; mine = epoch; lapsed = false; beats = 0;
    generation = generation + new_generation; key = generation;
    able++; sending = true
}

inline crash() {
    if
    :: crashes > 0 -> atomic { crashes--; lives[me]++; able = able - sending; sending = false; goto again }
    :: true
    fi
}

inline effect() {
#ifdef RESEND
    effects = effects + (honoured[key] -> 0 : 1); honoured[key] = true;
#else
    effects++;
#endif
    assert(effects <= 1)
}

proctype worker(byte me) {
    byte tries, mine, key, saw_owner, saw_life, saw_epoch, saw_beats;
    mtype saw, came;
    bool sending, again_under_key, saw_lapsed;

again:
    do
    :: tries == ATTEMPTS -> break
    :: else ->
        tries++; again_under_key = false;
#ifdef SEND_FIRST
        effect();
#endif
        if
        :: atomic { status == absent -> take(1); resent = false }                                     /* CLAIM */
            goto execute
        :: status != absent
        fi;
look:
        atomic {
            saw = status; saw_owner = owner; saw_life = life; saw_epoch = epoch; saw_beats = beats; saw_lapsed = lapsed
        }
        if
        :: saw == success -> assert(effects == 1); goto again                                         /* replayed */
        :: saw == failed ->
            if
            :: atomic { SWAPS -> take(1); resent = false }                                           /* RECLAIM */
                goto execute
            :: !(SWAPS) -> goto look
            fi
        :: saw == unknown ->
#ifdef RESEND
            if
            :: atomic { SWAPS -> take(0); resent = true; again_under_key = true }                     /* RESEND */
                goto execute
            :: !(SWAPS) -> goto look
            fi
#else
#ifdef RERUN_UNKNOWN
            if
            :: atomic { SWAPS -> take(1); resent = false }
                goto execute
            :: !(SWAPS) -> goto look
            fi
#else
            goto again                                                                                /* held */
#endif
#endif
        :: saw == running && (saw_lapsed || saw_life != lives[saw_owner]) ->
            if
#ifdef STEAL
            :: atomic { SWAPS -> take(1); resent = false }
                goto execute
#else
            :: atomic { SWAPS -> status = unknown }                                                   /* ABANDON */
                goto look
#endif
            :: !(SWAPS) -> goto look
            fi
        :: saw == running && !(saw_lapsed || saw_life != lives[saw_owner]) -> goto again              /* in flight */
        fi;
execute:
        crash();
        if
        :: atomic {
#ifndef SEND_FIRST
            effect();
#endif
            came = success; able--; sending = false }
        :: atomic { effect(); came = unknown; able--; sending = false }                               /* answer lost */
        :: atomic { came = failed; able--; sending = false }                                          /* refused */
        :: atomic { came = unknown; able--; sending = false }                                         /* never arrived */
        fi;
        crash();
        atomic {
#ifndef REFUSAL_SETTLES
            if
            :: again_under_key && came == failed -> came = unknown
            :: else
            fi;
#endif
            if
#ifdef BLIND_FINISH
            :: true -> status = came
#else
            :: status == running && MINE -> status = came                               /* SUCCEED FAIL LOSE SETTLE */
            :: status == unknown && MINE && came != unknown -> status = came            /* the same, late */
            :: status == failed && MINE && came == success -> status = success          /* proof goes over a word */
            :: else                                                                     /* a successor's is left alone */
#endif
            fi;
            assert(status != failed || effects == 0)
        }
    od
}

/* Time goes by, and who lives says so: the heartbeat of a claim, the end of its lease. */
active proctype clock() {
    do
    :: atomic { status == running && !lapsed -> lapsed = true }
    :: atomic { status == running && life == lives[owner] && renewals > 0 -> renewals--; beats++; lapsed = false }
    :: timeout -> break
    od
}

active proctype person() {
    do
    :: atomic { status == unknown && able == 0 ->
        if
        :: effects > 0 -> status = success                                                       /* RESOLVE_DONE */
        :: else -> status = failed                                                           /* RESOLVE_NOT_DONE */
        fi }
    :: timeout -> break
    od
}

init { run worker(0); run worker(1) }
