/* The hottest functions of journeys, compiled; each has a Python twin in journeys, which says what it does and why.
 *
 * A function here takes the common case of its twin. Whatever else comes (another type than expected, a late event, a
 * bound that is reached) it hands to the twin before it has changed anything, so the two can't differ there. The
 * fields of the structs are read at the offsets that their own member descriptors name; `bind` refuses a layout that
 * it doesn't know, and then only the twins are used.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <structmember.h>

enum {
    FIRST_SEEN, LAST_ACTIVITY, ACTIVITY_SEEN_AT, SCORE, SCORE_AT, COUNTS, LAST, RECENT, SESSION,
    SEEN, NOW, BONDS, WATCHED_BY, STAGE, ATTRIBUTES, EXECUTIONS, ATTRIBUTABLE, SETTLED, TIMELINE, WINDOWS, SEQUENCES,
    ABSENCES, SILENCES, STAGE_FLIP, SEGMENT_FLIPS, IS_VISITOR, PENDING,
    LAST_ENGAGEMENT, CUSTOMER_FIELDS
};
enum { OCCURRED_AT, TYPE, STREAM, SESSION_ID, MACHINE, HAS_ADDRESS, EVENT_ID, PROPERTIES, EVENT_FIELDS };
enum { STARTED_AT, LAST_AT, KNOWN_ID, EVENTS, PAGES, SESSION_FIELDS };
enum { PLACES, BITS, LIVE, BEHIND, BASE, MEMORY_FIELDS };
enum { LENGTH, LAST_BIT, VOID_BIT, WITHIN, SEQUENCE_FIELDS };

static const char *const customer_fields[] = {"first_seen", "last_activity", "activity_seen_at", "score", "score_at",
                                              "counts", "last", "recent", "session", "seen", "now", "bonds",
                                              "watched_by", "lifecycle_stage", "attributes", "executions",
                                              "attributable", "settled", "timeline", "windows", "sequences", "absences",
                                              "silences", "stage_flip", "segment_flips", "is_visitor", "pending",
                                              "last_engagement"};
static const char *const event_fields[] = {"occurred_at", "type", "stream", "session_id", "machine", "has_address",
                                           "event_id", "properties"};
static const char *const session_fields[] = {"started_at", "last_at", "session_id", "events", "pages"};
static const char *const memory_fields[] = {"places", "bits", "live", "behind", "base"};
static const char *const sequence_fields[] = {"length", "last", "void", "within_ms"};

static PyTypeObject *Customer, *Event, *Session, *Memory, *Sequence;
static Py_ssize_t customer_at[CUSTOMER_FIELDS], event_at[EVENT_FIELDS], session_at[SESSION_FIELDS],
    memory_at[MEMORY_FIELDS], sequence_at[SEQUENCE_FIELDS];
static PyObject *engaged, *page_views, *behavioral, *churned, *score_name;
static PyObject *plain_observe, *plain_seen, *plain_add_place, *plain_relaxed, *plain_strict, *plain_raises;
static PyObject *hash_bytes, *decode_object, *plain_mask;
static long long recent_events, seen_events, session_gap_ms, day_ms, places_of_ms, most_timeline, kept_late, slack, most_counted, earliest, latest_instant;

#define FIELD(object, offset) (*(PyObject **)((char *)(object) + (offset)))
#define PLAIN(function) PyObject_Vectorcall(function, args, count, NULL)
#define MOST (1LL << 52) /* beyond it a time is no time, and a double no whole number */

static void put(PyObject *object, Py_ssize_t offset, PyObject *value) {
    PyObject *old = FIELD(object, offset);
    FIELD(object, offset) = value;
    Py_XDECREF(old);
}

static void put_known(PyObject *object, Py_ssize_t offset, PyObject *value) {
    put(object, offset, Py_NewRef(value));
}

/* Whether it is an int (no bool) within the bounds of what is computed here. */
static int number(PyObject *value, long long *found) {
    if (value == NULL || !PyLong_CheckExact(value)) return 0;
    int overflow = 0;
    *found = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow == 0 && *found < MOST && *found > -MOST;
}

static int number_or_none(PyObject *value, long long *found, int *is_none) {
    *is_none = value == Py_None;
    return *is_none || number(value, found);
}

static int is_text(PyObject *value) { return value != NULL && PyUnicode_CheckExact(value); }

static int same_text(PyObject *one, PyObject *other) { return one == other || PyUnicode_Compare(one, other) == 0; }

/* Bytes ----------------------------------------------------------------------------------------------------------
 *
 * Two parts of a customer are bytes: the newest events (journeys.newest) and the ids that are remembered
 * (journeys.repeats). Both are replaced, never changed.
 */

enum { RECENT_BYTES = 8, RECENT_TYPES = 256, SEEN_HEAD = 8, SEEN_ENTRY = 12 };
#define SPAN (1LL << 32)

static unsigned long long get64(const char *from) {
    unsigned long long found;
    memcpy(&found, from, 8);
    return PY_LITTLE_ENDIAN ? __builtin_bswap64(found) : found;
}

static unsigned int get32(const char *from) {
    unsigned int found;
    memcpy(&found, from, 4);
    return PY_LITTLE_ENDIAN ? __builtin_bswap32(found) : found;
}

static void put64(char *into, unsigned long long value) {
    if (PY_LITTLE_ENDIAN) value = __builtin_bswap64(value);
    memcpy(into, &value, 8);
}

static void put32(char *into, unsigned int value) {
    if (PY_LITTLE_ENDIAN) value = __builtin_bswap32(value);
    memcpy(into, &value, 4);
}

/* The place of a type among those that are counted; behind them all where it isn't one yet. */
static Py_ssize_t place_of(PyObject *counts, PyObject *type, int is_counted) {
    Py_ssize_t place = 0, position = 0;
    PyObject *known, *value;
    if (!is_counted) return PyDict_GET_SIZE(counts);
    while (PyDict_Next(counts, &position, &known, &value)) {
        if (known == type || (PyUnicode_CheckExact(known) && PyUnicode_GET_LENGTH(known) == PyUnicode_GET_LENGTH(type) &&
                              same_text(known, type)))
            return place;
        place++;
    }
    return RECENT_TYPES;
}

static long long last_instant(PyObject *recent) {
    long long entry = (long long)get64(PyBytes_AS_STRING(recent) + PyBytes_GET_SIZE(recent) - RECENT_BYTES);
    return entry >> 8;
}

static PyObject *with_newest(PyObject *recent, long long at, Py_ssize_t number_of_type) {
    Py_ssize_t size = PyBytes_GET_SIZE(recent), left_out = size == recent_events * RECENT_BYTES ? RECENT_BYTES : 0;
    PyObject *made = PyBytes_FromStringAndSize(NULL, size - left_out + RECENT_BYTES);
    if (made == NULL) return NULL;
    memcpy(PyBytes_AS_STRING(made), PyBytes_AS_STRING(recent) + left_out, size - left_out);
    put64(PyBytes_AS_STRING(made) + size - left_out,
          (unsigned long long)(at * RECENT_TYPES + (long long)number_of_type));
    return made;
}

typedef struct {
    Py_ssize_t from; /* where those begin that are still remembered; at the end of all where none is */
    int is_known;
} Remembered;

/* Look an id up; 0 where the bytes aren't what they should be. */
static int look_up(PyObject *seen, unsigned long long identity, long long now, Remembered *found) {
    if (seen == NULL || !PyBytes_CheckExact(seen)) return 0;
    const char *bytes = PyBytes_AS_STRING(seen);
    Py_ssize_t size = PyBytes_GET_SIZE(seen), place = SEEN_HEAD;
    found->is_known = 0, found->from = size;
    if (size == 0) return 1;
    if (size <= SEEN_HEAD || (size - SEEN_HEAD) % SEEN_ENTRY || size > SEEN_HEAD + seen_events * SEEN_ENTRY) return 0;
    long long least = now - day_ms, begin = (long long)get64(bytes);
    if (begin >= MOST || begin <= -MOST) return 0;
    while (place < size && begin + get32(bytes + place + 8) <= least) place += SEEN_ENTRY;
    found->from = place;
    for (; place < size; place += SEEN_ENTRY) {
        if (get64(bytes + place) == identity) found->is_known = 1;
    }
    return 1;
}

/* What is remembered once an id has been looked up and, if it is new, added; NULL without an error where the twin
 * has to do it. */
static PyObject *remembering(PyObject *seen, unsigned long long identity, long long now, const Remembered *found) {
    const char *bytes = PyBytes_AS_STRING(seen);
    Py_ssize_t size = PyBytes_GET_SIZE(seen), from = found->from, kept = size - from;
    long long begin = kept ? (long long)get64(bytes) : now;
    if (found->is_known && (size == 0 || from == SEEN_HEAD)) return Py_NewRef(seen);
    if (!found->is_known && (now < begin || now - begin >= SPAN)) return NULL;
    if (!found->is_known && kept >= seen_events * SEEN_ENTRY) from += SEEN_ENTRY, kept -= SEEN_ENTRY;
    PyObject *made = PyBytes_FromStringAndSize(NULL, SEEN_HEAD + kept + (found->is_known ? 0 : SEEN_ENTRY));
    if (made == NULL) return NULL;
    char *into = PyBytes_AS_STRING(made);
    put64(into, (unsigned long long)begin);
    memcpy(into + SEEN_HEAD, bytes + from, kept);
    if (!found->is_known) {
        put64(into + SEEN_HEAD + kept, identity);
        put32(into + SEEN_HEAD + kept + 8, (unsigned int)(now - begin));
    }
    return made;
}

static PyObject *observe(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long at, now, first, counted, last, activity = 0, score_time = 0, engaged_at = 0;
    int no_first, no_activity, no_score = 1, no_engagement = 1;
    if (count != 5 || !Py_IS_TYPE(args[0], Customer) || !Py_IS_TYPE(args[1], Event)) return PLAIN(plain_observe);
    PyObject *customer = args[0], *event = args[1], *weight = args[2], *half_life = args[3];
    PyObject *at_object = FIELD(event, event_at[OCCURRED_AT]), *type = FIELD(event, event_at[TYPE]);
    PyObject *stream = FIELD(event, event_at[STREAM]), *named = FIELD(event, event_at[SESSION_ID]);
    PyObject *counts = FIELD(customer, customer_at[COUNTS]), *lasts = FIELD(customer, customer_at[LAST]);
    PyObject *recent = FIELD(customer, customer_at[RECENT]), *session = FIELD(customer, customer_at[SESSION]);
    PyObject *score = FIELD(customer, customer_at[SCORE]);
    if (!number(at_object, &at) || !number(args[4], &now) || !is_text(type) || !is_text(stream) || named == NULL ||
        !(named == Py_None || is_text(named)) || counts == NULL || !PyDict_CheckExact(counts) || lasts == NULL ||
        !PyDict_CheckExact(lasts) || recent == NULL || !PyBytes_CheckExact(recent) || session == NULL ||
        at < earliest || at > latest_instant ||
        !PyFloat_CheckExact(weight) || !PyFloat_CheckExact(half_life) || score == NULL || !PyFloat_CheckExact(score))
        return PLAIN(plain_observe);
    if (!number_or_none(FIELD(customer, customer_at[FIRST_SEEN]), &first, &no_first) ||
        !number_or_none(FIELD(customer, customer_at[LAST_ACTIVITY]), &activity, &no_activity))
        return PLAIN(plain_observe);

    int is_engaged = PySet_Contains(engaged, type);
    if (is_engaged < 0) return NULL;
    if (is_engaged && !number_or_none(FIELD(customer, customer_at[LAST_ENGAGEMENT]), &engaged_at, &no_engagement))
        return PLAIN(plain_observe);
    PyObject *known_count = PyDict_GetItemWithError(counts, type);
    if (known_count == NULL && PyErr_Occurred()) return NULL;
    PyObject *known_last = known_count == NULL ? NULL : PyDict_GetItemWithError(lasts, type);
    if (known_last == NULL && PyErr_Occurred()) return NULL;
    if (known_count == NULL) {
        int is_in_last = PyDict_Contains(lasts, type);
        if (is_in_last < 0) return NULL;
        if (is_in_last || PyDict_GET_SIZE(counts) >= most_counted) return PLAIN(plain_observe);
        counted = 0, last = at - 1;
    } else if (!number(known_count, &counted) || !number(known_last, &last)) {
        return PLAIN(plain_observe);
    }

    Py_ssize_t size = PyBytes_GET_SIZE(recent), number_of_type = place_of(counts, type, known_count != NULL);
    if (size % RECENT_BYTES || size > recent_events * RECENT_BYTES || number_of_type >= RECENT_TYPES ||
        (size && at < last_instant(recent)))
        return PLAIN(plain_observe);
    int weighs = PyFloat_AS_DOUBLE(weight) != 0.0;
    if (weighs && (!number_or_none(FIELD(customer, customer_at[SCORE_AT]), &score_time, &no_score) ||
                   (!no_score && at < score_time) || !(PyFloat_AS_DOUBLE(half_life) > 0.0)))
        return PLAIN(plain_observe);

    int is_behavioral = same_text(stream, behavioral), opens = 0, counts_in = 0, is_view = 0, takes_id = 0;
    int moves_last = 0, moves_start = 0;
    long long started = 0, ended = 0, events = 0, pages = 0;
    if (is_behavioral) {
        is_view = PySet_Contains(page_views, type);
        if (is_view < 0) return NULL;
        if (session == Py_None) {
            opens = 1;
        } else {
            if (!Py_IS_TYPE(session, Session)) return PLAIN(plain_observe);
            PyObject *known = FIELD(session, session_at[KNOWN_ID]);
            if (!number(FIELD(session, session_at[STARTED_AT]), &started) ||
                !number(FIELD(session, session_at[LAST_AT]), &ended) ||
                !number(FIELD(session, session_at[EVENTS]), &events) ||
                !number(FIELD(session, session_at[PAGES]), &pages) || !(known == Py_None || is_text(known)))
                return PLAIN(plain_observe);
            if (at > started - session_gap_ms) {
                int changed = named != Py_None && known != Py_None && !same_text(named, known);
                if (at - ended >= session_gap_ms || (changed && at >= ended)) {
                    opens = 1;
                } else if (!changed) {
                    counts_in = 1;
                    moves_last = at > ended;
                    moves_start = !moves_last && at < started;
                    takes_id = known == Py_None;
                }
            }
        }
    }

    /* All that has to be made is made before anything is changed. */
    PyObject *new_count = PyLong_FromLongLong(counted + 1), *new_recent = with_newest(recent, at, number_of_type);
    PyObject *new_score = NULL, *new_events = NULL, *new_pages = NULL, *new_session = NULL;
    if (weighs) {
        double sum = no_score ? PyFloat_AS_DOUBLE(weight)
                              : PyFloat_AS_DOUBLE(score) *
                                        exp2((double)(score_time - at) / PyFloat_AS_DOUBLE(half_life)) +
                                    PyFloat_AS_DOUBLE(weight);
        new_score = PyFloat_FromDouble(sum);
    }
    if (opens) {
        new_session = PyObject_CallFunction((PyObject *)Session, "OOOii", at_object, at_object, named, 1, is_view);
    } else if (counts_in) {
        new_events = PyLong_FromLongLong(events + 1);
        if (is_view) new_pages = PyLong_FromLongLong(pages + 1);
    }
    if (new_count == NULL || new_recent == NULL || (weighs && new_score == NULL) || (opens && new_session == NULL) ||
        (counts_in && (new_events == NULL || (is_view && new_pages == NULL))) ||
        PyDict_SetItem(counts, type, new_count) < 0 || (at > last && PyDict_SetItem(lasts, type, at_object) < 0)) {
        Py_XDECREF(new_count), Py_XDECREF(new_recent), Py_XDECREF(new_score);
        Py_XDECREF(new_events), Py_XDECREF(new_pages), Py_XDECREF(new_session);
        return NULL;
    }
    Py_DECREF(new_count);
    put(customer, customer_at[RECENT], new_recent);
    if (no_first || at < first) put_known(customer, customer_at[FIRST_SEEN], at_object);
    if ((is_behavioral || is_engaged) && (no_activity || at > activity)) {
        put_known(customer, customer_at[LAST_ACTIVITY], at_object);
        put_known(customer, customer_at[ACTIVITY_SEEN_AT], args[4]);
    }
    if (is_engaged && (no_engagement || at > engaged_at)) put_known(customer, customer_at[LAST_ENGAGEMENT], at_object);
    if (weighs) {
        put(customer, customer_at[SCORE], new_score);
        put_known(customer, customer_at[SCORE_AT], at_object);
    }
    if (opens) {
        put(customer, customer_at[SESSION], new_session);
    } else if (counts_in) {
        if (moves_last) put_known(session, session_at[LAST_AT], at_object);
        if (moves_start) put_known(session, session_at[STARTED_AT], at_object);
        if (takes_id) put_known(session, session_at[KNOWN_ID], named);
        put(session, session_at[EVENTS], new_events);
        if (is_view) put(session, session_at[PAGES], new_pages);
    }
    Py_RETURN_TRUE;
}

static PyObject *seen_before(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long now;
    Remembered found;
    if (count != 3 || !Py_IS_TYPE(args[0], Customer) || !PyLong_CheckExact(args[1]) || !number(args[2], &now))
        return PLAIN(plain_seen);
    unsigned long long identity = PyLong_AsUnsignedLongLong(args[1]);
    if (identity == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return PLAIN(plain_seen);
    }
    PyObject *seen = FIELD(args[0], customer_at[SEEN]);
    if (!look_up(seen, identity, now, &found)) return PLAIN(plain_seen);
    PyObject *made = remembering(seen, identity, now, &found);
    if (made == NULL) return PyErr_Occurred() ? NULL : PLAIN(plain_seen);
    put(args[0], customer_at[SEEN], made);
    return PyBool_FromLong(found.is_known);
}

static PyObject *add_place(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long at, last;
    if (count != 2 || !PyList_CheckExact(args[0]) || !number(args[1], &at) || at < 0 || at > MOST / places_of_ms)
        return PLAIN(plain_add_place);
    PyObject *timeline = args[0];
    Py_ssize_t size = PyList_GET_SIZE(timeline);
    long long floor = at * places_of_ms;
    if (size && (!number(PyList_GET_ITEM(timeline, size - 1), &last) || last >= floor)) return PLAIN(plain_add_place);
    PyObject *place = PyLong_FromLongLong(floor + 2);
    if (place == NULL || PyList_Append(timeline, place) < 0 ||
        (size + 1 > most_timeline + slack && PyList_SetSlice(timeline, 0, slack, NULL) < 0)) {
        Py_XDECREF(place);
        return NULL;
    }
    return place;
}

/* Whether an event may be appended to what a sequence remembers: it is in order, and there is room. */
static int is_next(PyObject *places, PyObject *bits, long long at, Py_ssize_t room) {
    long long last;
    if (places == NULL || bits == NULL || !PyList_CheckExact(places) || !PyList_CheckExact(bits)) return 0;
    Py_ssize_t size = PyList_GET_SIZE(places);
    if (size >= room || PyList_GET_SIZE(bits) != size) return 0;
    return size == 0 || (number(PyList_GET_ITEM(places, size - 1), &last) && at >= last);
}

static PyObject *remember(PyObject *places, PyObject *bits, PyObject *place, PyObject *those) {
    if (PyList_Append(places, place) < 0 || PyList_Append(bits, those) < 0) return NULL;
    Py_RETURN_FALSE;
}

static PyObject *advance_relaxed(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long at, those, behind, last, length;
    int no_behind;
    if (count != 4 || !Py_IS_TYPE(args[0], Memory) || !Py_IS_TYPE(args[1], Sequence) || !number(args[2], &at) ||
        !number(args[3], &those))
        return PLAIN(plain_relaxed);
    PyObject *memory = args[0], *sequence = args[1], *live = FIELD(memory, memory_at[LIVE]);
    PyObject *places = FIELD(memory, memory_at[PLACES]), *bits = FIELD(memory, memory_at[BITS]);
    if (!number_or_none(FIELD(memory, memory_at[BEHIND]), &behind, &no_behind) || (!no_behind && at < behind) ||
        !is_next(places, bits, at, kept_late + slack) || live == NULL || !PyList_CheckExact(live) ||
        !number(FIELD(sequence, sequence_at[LAST_BIT]), &last) ||
        !number(FIELD(sequence, sequence_at[LENGTH]), &length) || length < 2)
        return PLAIN(plain_relaxed);
    int has_begun = PyList_GET_SIZE(live) != 0;
    if (!has_begun && !(those & 1)) return remember(places, bits, args[2], args[3]);
    if (has_begun && those == 1) {
        Py_INCREF(args[2]);
        if (PyList_SetItem(live, 0, args[2]) < 0) return NULL;
        return remember(places, bits, args[2], args[3]);
    }
    return PLAIN(plain_relaxed);
}

static PyObject *advance_strict(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long place, those, last, length, first;
    if (count != 5 || !Py_IS_TYPE(args[0], Memory) || !Py_IS_TYPE(args[1], Sequence) || !PyLong_CheckExact(args[2]) ||
        !number(args[2], &place) || !number(args[3], &those))
        return PLAIN(plain_strict);
    PyObject *places = FIELD(args[0], memory_at[PLACES]), *bits = FIELD(args[0], memory_at[BITS]);
    if (!number(FIELD(args[1], sequence_at[LAST_BIT]), &last) ||
        !number(FIELD(args[1], sequence_at[LENGTH]), &length) || length < 1 || length > 64 ||
        !is_next(places, bits, place, (Py_ssize_t)(length + kept_late)))
        return PLAIN(plain_strict);
    Py_ssize_t start = PyList_GET_SIZE(places) + 1 - (Py_ssize_t)length;
    if ((those & last) && start >= 0) {
        /* Of a sequence of one, the event that is to come is also the first. */
        if (length == 1 || !number(PyList_GET_ITEM(bits, start), &first) || (first & 1)) return PLAIN(plain_strict);
    }
    return remember(places, bits, args[2], args[3]);
}

static PyObject *count_raises(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long at, window_ms, wanted, instant;
    if (count != 5 || !PyList_CheckExact(args[0]) || !number(args[1], &at) || !number(args[2], &window_ms) ||
        !number(args[3], &wanted) || wanted < 1)
        return PLAIN(plain_raises);
    PyObject *instants = args[0];
    Py_ssize_t known = PyList_GET_SIZE(instants) + 1;
    if (known > 1 && (!number(PyList_GET_ITEM(instants, known - 2), &instant) || at < instant))
        return PLAIN(plain_raises);
    int raises = known >= wanted;
    if (raises && wanted > 1) {
        if (!number(PyList_GET_ITEM(instants, known - wanted), &instant)) return PLAIN(plain_raises);
        raises = instant > at - window_ms;
    } else if (raises) {
        raises = window_ms > 0;
    }
    if (raises && known > wanted) {
        if (!number(PyList_GET_ITEM(instants, known - wanted - 1), &instant)) return PLAIN(plain_raises);
        raises = instant <= at - window_ms;
    }
    if (PyList_Append(instants, args[1]) < 0) return NULL;
    return PyBool_FromLong(raises);
}

/* The quiet path ----------------------------------------------------------------------------------------------- */

enum { OF_ALL, WEIGHT, STEPS, TESTS, PLAN_PARTS };
enum { NUMBER, HAS_STRICT, HALF_LIFE, LOWEST_SCORE, LEASTS, LOWEST_OF_SESSION, INACTIVITY, OF_ALL_PARTS };
enum { FIRES, COUNTS_UP, RELAXED, STRICT };
enum { KIND, MEMORY_NAME, WHAT, PLAIN_BITS, BITS_IF, STEP_PARTS };
enum { MOST_STEPS = 32 };

typedef struct {
    int kind;
    PyObject *name, *memory, *what;
    long long bits;
} Step;

static int empty_list(PyObject *value) {
    return value != NULL && PyList_CheckExact(value) && PyList_GET_SIZE(value) == 0;
}

static int is_float(PyObject *value, double *found) {
    if (value == NULL || !PyFloat_CheckExact(value)) return 0;
    *found = PyFloat_AS_DOUBLE(value);
    return 1;
}

/* Whether the instants stand in order, so that `at` may be appended; the last one, if there is any. */
static int in_order(PyObject *instants, long long at) {
    long long last;
    if (instants == NULL || !PyList_CheckExact(instants)) return 0;
    Py_ssize_t size = PyList_GET_SIZE(instants);
    return size == 0 || (number(PyList_GET_ITEM(instants, size - 1), &last) && at >= last);
}

/* What is left now of a sum as of `at`, between 0 and 100; not rounded. */
static double read_score(double sum, long long at, long long now, double half_life) {
    double value = now <= at ? sum : sum * exp2((double)(at - now) / half_life);
    return value <= 0.0 ? 0.0 : value < 100.0 ? value : 100.0;
}

/* Whether the score surely reaches no threshold; near one, where rounding decides, it may. */
static int reaches_no_score(PyObject *leasts, double low, double high) {
    double least;
    if (!PyTuple_CheckExact(leasts)) return 0;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(leasts); index++) {
        if (!is_float(PyTuple_GET_ITEM(leasts, index), &least)) return 0;
        if (least > low - 1e-5 && least < high + 1e-5) return 0;
    }
    return 1;
}

static int score_stays_below(PyObject *customer, PyObject *const *of_all, double weight, long long at, long long now) {
    double sum, lowest, half_life, after;
    long long sum_at = 0;
    int no_sum = 1;
    if (!is_float(FIELD(customer, customer_at[SCORE]), &sum) || !is_float(of_all[LOWEST_SCORE], &lowest) ||
        !is_float(of_all[HALF_LIFE], &half_life) || !(half_life > 0.0) ||
        !number_or_none(FIELD(customer, customer_at[SCORE_AT]), &sum_at, &no_sum))
        return 0;
    if (!((sum > 0.0 ? sum : 0.0) + (weight > 0.0 ? weight : 0.0) >= lowest)) return 1;
    if (weight == 0.0) return 1;
    if (no_sum) {
        sum = 0.0, after = weight;
    } else {
        if (at < sum_at) return 0;
        after = sum * exp2((double)(sum_at - at) / half_life) + weight;
    }
    if (after < lowest) return 1;
    return reaches_no_score(of_all[LEASTS], no_sum ? 0.0 : read_score(sum, sum_at, now, half_life),
                            read_score(after, at, now, half_life));
}

static int session_stays_below(PyObject *session, PyObject *lowest, long long at) {
    double events, pages, lasted;
    long long had_events = 0, had_pages = 0, started = at, ended = at;
    if (lowest == Py_None) return 1;
    if (!PyTuple_CheckExact(lowest) || PyTuple_GET_SIZE(lowest) != 3 || !is_float(PyTuple_GET_ITEM(lowest, 0), &events) ||
        !is_float(PyTuple_GET_ITEM(lowest, 1), &pages) || !is_float(PyTuple_GET_ITEM(lowest, 2), &lasted))
        return 0;
    if (session != Py_None && (!Py_IS_TYPE(session, Session) ||
                               !number(FIELD(session, session_at[EVENTS]), &had_events) ||
                               !number(FIELD(session, session_at[PAGES]), &had_pages) ||
                               !number(FIELD(session, session_at[STARTED_AT]), &started) ||
                               !number(FIELD(session, session_at[LAST_AT]), &ended)))
        return 0;
    if (at < started) started = at;
    if (at > ended) ended = at;
    return (double)(had_events + 1) < events && (double)(had_pages + 1) < pages && (double)(ended - started) < lasted;
}

static int counts_on(PyObject *customer, PyObject *part, Step *step, long long at) {
    long long window_ms, wanted, most, instant;
    if (!PyTuple_CheckExact(step->what) || PyTuple_GET_SIZE(step->what) != 3 ||
        !number(PyTuple_GET_ITEM(step->what, 0), &window_ms) || !number(PyTuple_GET_ITEM(step->what, 1), &wanted) ||
        !number(PyTuple_GET_ITEM(step->what, 2), &most) || wanted < 2)
        return 0;
    if (step->memory == NULL) return 1;
    if (!in_order(step->memory, at)) return 0;
    Py_ssize_t known = PyList_GET_SIZE(step->memory) + 1;
    if (known > most) return 0;
    if (known < wanted) return 1;
    if (!number(PyList_GET_ITEM(step->memory, known - wanted), &instant)) return 0;
    if (instant <= at - window_ms) return 1;
    return known > wanted && number(PyList_GET_ITEM(step->memory, known - wanted - 1), &instant) &&
           instant > at - window_ms;
}

/* Whether a sequence isn't completed by what stands for `bits` at a place, the latest of those it remembers. */
static int goes_on(Step *step, long long at, int is_strict) {
    long long length, last, within = 0, behind = 0, instant, first;
    int no_within, no_behind;
    if (!Py_IS_TYPE(step->what, Sequence) || !number(FIELD(step->what, sequence_at[LENGTH]), &length) || length < 2 ||
        length > 48 || !number(FIELD(step->what, sequence_at[LAST_BIT]), &last) ||
        !number_or_none(FIELD(step->what, sequence_at[WITHIN]), &within, &no_within))
        return 0;
    if (step->memory == NULL) return 1;
    if (!Py_IS_TYPE(step->memory, Memory)) return 0;
    PyObject *places = FIELD(step->memory, memory_at[PLACES]), *bits = FIELD(step->memory, memory_at[BITS]);
    PyObject *live = FIELD(step->memory, memory_at[LIVE]), *base = FIELD(step->memory, memory_at[BASE]);
    if (!in_order(places, at) || bits == NULL || !PyList_CheckExact(bits) ||
        PyList_GET_SIZE(bits) != PyList_GET_SIZE(places) || live == NULL || !PyList_CheckExact(live) || base == NULL ||
        !PyList_CheckExact(base) || !number_or_none(FIELD(step->memory, memory_at[BEHIND]), &behind, &no_behind))
        return 0;
    Py_ssize_t size = PyList_GET_SIZE(live);
    if (is_strict) {
        Py_ssize_t start = PyList_GET_SIZE(places) + 1 - (Py_ssize_t)length;
        return !(step->bits & last) || start < 0 || (number(PyList_GET_ITEM(bits, start), &first) && !(first & 1));
    }
    if ((!no_behind && at < behind) || (size != 0 && size != length - 1) ||
        (PyList_GET_SIZE(base) != 0 && PyList_GET_SIZE(base) != length - 1))
        return 0;
    if (!(step->bits & last) || size == 0 || PyList_GET_ITEM(live, size - 1) == Py_None) return 1;
    return !no_within && number(PyList_GET_ITEM(live, size - 1), &instant) && at - instant >= within;
}

/* `_step` of journeys.sequences: 1 if the event completes a chain, which are then as they were; -1 with an error. */
static int advance(PyObject *live, PyObject *sequence, PyObject *at_object, long long those) {
    long long length, last, empty, within = 0, at, started, known;
    int no_within, none;
    if (!number(FIELD(sequence, sequence_at[LENGTH]), &length) || !number(FIELD(sequence, sequence_at[LAST_BIT]), &last) ||
        !number(FIELD(sequence, sequence_at[VOID_BIT]), &empty) || !number(at_object, &at) ||
        !number_or_none(FIELD(sequence, sequence_at[WITHIN]), &within, &no_within)) {
        PyErr_SetString(PyExc_TypeError, "a sequence isn't what it was compiled as");
        return -1;
    }
    Py_ssize_t size = PyList_GET_SIZE(live);
    if ((those & last) && size && number(PyList_GET_ITEM(live, size - 1), &started) &&
        (no_within || at - started < within))
        return 1;
    if (those > 1 && size) {
        if (those & empty) {
            if (PyList_SetSlice(live, 0, size, NULL) < 0) return -1;
            size = 0;
        } else {
            for (Py_ssize_t place = (Py_ssize_t)length - 2; place > 0; place--) {
                PyObject *before = PyList_GET_ITEM(live, place - 1);
                if (!(those >> place & 1) || !number_or_none(before, &started, &none) || none) continue;
                if (number_or_none(PyList_GET_ITEM(live, place), &known, &none) && (none || started > known) &&
                    PyList_SetItem(live, place, Py_NewRef(before)) < 0)
                    return -1;
            }
        }
    }
    if (!(those & 1)) return 0;
    if (size) {
        if (number_or_none(PyList_GET_ITEM(live, 0), &known, &none) && (none || at > known))
            return PyList_SetItem(live, 0, Py_NewRef(at_object));
        return 0;
    }
    if (PyList_Append(live, at_object) < 0) return -1;
    for (long long left = length - 2; left > 0; left--) {
        if (PyList_Append(live, Py_None) < 0) return -1;
    }
    return 0;
}

static int forget_oldest(PyObject *memory, PyObject *sequence, Py_ssize_t surplus) {
    PyObject *places = FIELD(memory, memory_at[PLACES]), *bits = FIELD(memory, memory_at[BITS]);
    PyObject *base = FIELD(memory, memory_at[BASE]);
    long long those;
    for (Py_ssize_t index = 0; index < surplus; index++) {
        if (!number(PyList_GET_ITEM(bits, index), &those)) continue;
        if ((PyList_GET_SIZE(base) || (those & 1)) &&
            advance(base, sequence, PyList_GET_ITEM(places, index), those) < 0)
            return -1;
    }
    return PyList_SetSlice(places, 0, surplus, NULL) < 0 || PyList_SetSlice(bits, 0, surplus, NULL) < 0 ? -1 : 0;
}

static int take_relaxed(Step *step, PyObject *at, PyObject *those) {
    PyObject *places = FIELD(step->memory, memory_at[PLACES]), *bits = FIELD(step->memory, memory_at[BITS]);
    PyObject *live = FIELD(step->memory, memory_at[LIVE]);
    if (PyList_Append(places, at) < 0 || PyList_Append(bits, those) < 0) return -1;
    int has_begun = PyList_GET_SIZE(live) != 0;
    if (has_begun && step->bits == 1) {
        if (PyList_SetItem(live, 0, Py_NewRef(at)) < 0) return -1;
    } else if ((has_begun || (step->bits & 1)) && advance(live, step->what, at, step->bits) < 0) {
        return -1;
    }
    Py_ssize_t surplus = PyList_GET_SIZE(places) - (Py_ssize_t)kept_late;
    return surplus > slack ? forget_oldest(step->memory, step->what, surplus) : 0;
}

static int take_strict(Step *step, PyObject *place, PyObject *those) {
    PyObject *places = FIELD(step->memory, memory_at[PLACES]), *bits = FIELD(step->memory, memory_at[BITS]);
    long long length;
    if (!number(FIELD(step->what, sequence_at[LENGTH]), &length) || PyList_Append(places, place) < 0 ||
        PyList_Append(bits, those) < 0)
        return -1;
    Py_ssize_t surplus = PyList_GET_SIZE(places) - (Py_ssize_t)(length + kept_late);
    if (surplus <= 0) return 0;
    surplus += (Py_ssize_t)slack;
    return PyList_SetSlice(places, 0, surplus, NULL) < 0 || PyList_SetSlice(bits, 0, surplus, NULL) < 0 ? -1 : 0;
}

/* What the event does to one trigger: 1 quietly something, 0 quietly nothing, -1 not known here. */
static int foresee(PyObject *customer, PyObject *part, long long mask, long long at, long long place, Step *step) {
    long long kind, plain, those, test;
    if (!PyTuple_CheckExact(part) || PyTuple_GET_SIZE(part) != STEP_PARTS ||
        !number(PyTuple_GET_ITEM(part, KIND), &kind) || !number(PyTuple_GET_ITEM(part, PLAIN_BITS), &plain))
        return -1;
    PyObject *ifs = PyTuple_GET_ITEM(part, BITS_IF);
    if (!PyTuple_CheckExact(ifs)) return -1;
    for (Py_ssize_t index = 0; index + 1 < PyTuple_GET_SIZE(ifs); index += 2) {
        if (!number(PyTuple_GET_ITEM(ifs, index), &test) || !number(PyTuple_GET_ITEM(ifs, index + 1), &those)) return -1;
        if (mask & test) plain |= those;
    }
    if (plain == 0) return 0;
    step->kind = (int)kind, step->bits = plain;
    step->name = PyTuple_GET_ITEM(part, MEMORY_NAME), step->what = PyTuple_GET_ITEM(part, WHAT);
    PyObject *memories = FIELD(customer, customer_at[kind == COUNTS_UP ? WINDOWS : SEQUENCES]);
    if (kind == FIRES || memories == NULL || !PyDict_CheckExact(memories)) return -1;
    step->memory = PyDict_GetItemWithError(memories, step->name);
    if (step->memory == NULL && PyErr_Occurred()) return -1;
    int is_quiet = kind == COUNTS_UP ? counts_on(customer, part, step, at)
                                     : goes_on(step, kind == STRICT ? place : at, kind == STRICT);
    return is_quiet ? 1 : -1;
}

/* Make the memory that a trigger hasn't got yet; borrowed from the customer, who keeps it. */
static int begin_memory(PyObject *customer, Step *step) {
    PyObject *memories = FIELD(customer, customer_at[step->kind == COUNTS_UP ? WINDOWS : SEQUENCES]);
    PyObject *memory = step->kind == COUNTS_UP ? PyList_New(0) : PyObject_CallNoArgs((PyObject *)Memory);
    if (memory == NULL) return -1;
    int failed = PyDict_SetItem(memories, step->name, memory);
    step->memory = memory;
    Py_DECREF(memory);
    return failed;
}

/* Whether nothing but what this file knows would look at the event, or at what it changes. */
static int concerns_nobody(PyObject *customer, PyObject *event, PyObject *const *of_all, long long at, long long now) {
    long long watched_by, wanted, inactivity;
    PyObject *stage = FIELD(customer, customer_at[STAGE]), *attributes = FIELD(customer, customer_at[ATTRIBUTES]);
    if (FIELD(customer, customer_at[BONDS]) != Py_None || FIELD(event, event_at[MACHINE]) != Py_False ||
        FIELD(event, event_at[HAS_ADDRESS]) != Py_False || FIELD(customer, customer_at[FIRST_SEEN]) == Py_None ||
        !empty_list(FIELD(customer, customer_at[EXECUTIONS])) ||
        !empty_list(FIELD(customer, customer_at[ATTRIBUTABLE])) || !empty_list(FIELD(customer, customer_at[SETTLED])))
        return 0;
    if (!number(FIELD(customer, customer_at[WATCHED_BY]), &watched_by) || !number(of_all[NUMBER], &wanted) ||
        watched_by != wanted || !number(of_all[INACTIVITY], &inactivity) || at > now || at <= now - inactivity)
        return 0;
    if (!is_text(stage) || same_text(stage, churned) || !is_text(FIELD(event, event_at[STREAM])) ||
        !same_text(FIELD(event, event_at[STREAM]), behavioral) || attributes == NULL || !PyDict_CheckExact(attributes))
        return 0;
    return of_all[LEASTS] == Py_None || PyDict_GET_SIZE(attributes) == 0 || !PyDict_Contains(attributes, score_name);
}

enum { TRIGGER, TEST, PLAIN_TEST, TEST_PARTS };

/* Whether a property is as a test wants it: 1 or 0; -1 where only Python knows. */
static int holds(PyObject *value, PyObject *constant, int compared) {
    if (value == NULL || value == Py_None) return compared == Py_NE;
    int is_number = PyLong_CheckExact(value) || PyFloat_CheckExact(value), is_text = PyUnicode_CheckExact(value);
    int wants_text = PyUnicode_CheckExact(constant);
    if (wants_text ? is_text : is_number) return PyObject_RichCompareBool(value, constant, compared);
    if (!is_number && !is_text && !PyBool_Check(value) && !PyList_CheckExact(value) && !PyDict_CheckExact(value)) return -1;
    return compared == Py_EQ ? 0 : compared == Py_NE ? 1 : -1;
}

static int in_python(PyObject *tests, PyObject *customer, PyObject *event, PyObject *now, PyObject *half_life,
                     long long *mask) {
    PyObject *told = PyObject_CallFunctionObjArgs(plain_mask, tests, customer, event, now, half_life, NULL);
    if (told == NULL) return -1;
    int is_known = number(told, mask) && *mask >= 0;
    Py_DECREF(told);
    return is_known;
}

/* A bit for each test that holds; 0 where that isn't certain, -1 with an error. */
static int look_at(PyObject *tests, PyObject *customer, PyObject *event, PyObject *now, PyObject *half_life,
                   long long *mask) {
    *mask = 0;
    if (!PyTuple_CheckExact(tests)) return 0;
    if (PyTuple_GET_SIZE(tests) == 0) return 1;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(tests); index++) {
        PyObject *test = PyTuple_GET_ITEM(tests, index);
        if (!PyTuple_CheckExact(test) || PyTuple_GET_SIZE(test) != TEST_PARTS) return 0;
        PyObject *plain = PyTuple_GET_ITEM(test, PLAIN_TEST);
        if (!PyTuple_CheckExact(plain) || PyTuple_GET_SIZE(plain) != 3)
            return in_python(tests, customer, event, now, half_life, mask);
    }
    PyObject *properties = PyObject_CallOneArg(decode_object, FIELD(event, event_at[PROPERTIES]));
    if (properties == NULL) return -1;
    int found = PyDict_CheckExact(properties);
    for (Py_ssize_t index = 0; found == 1 && index < PyTuple_GET_SIZE(tests); index++) {
        PyObject *plain = PyTuple_GET_ITEM(PyTuple_GET_ITEM(tests, index), PLAIN_TEST), *value;
        long long compared;
        if (!number(PyTuple_GET_ITEM(plain, 1), &compared) || compared < Py_LT || compared > Py_GE) {
            found = 0;
            break;
        }
        value = PyDict_GetItemWithError(properties, PyTuple_GET_ITEM(plain, 0));
        int is_so = value == NULL && PyErr_Occurred() ? -1 : holds(value, PyTuple_GET_ITEM(plain, 2), (int)compared);
        if (is_so < 0) found = PyErr_Occurred() ? -1 : 2;
        else if (is_so) *mask |= 1LL << index;
    }
    Py_DECREF(properties);
    return found == 2 ? in_python(tests, customer, event, now, half_life, mask) : found;
}

/* The hash of an event's id, as `schemas.identity.event_hash` has it. */
static PyObject *hash_of(PyObject *event_id) {
    PyObject *encoded = PyUnicode_AsUTF8String(event_id);
    if (encoded == NULL) return NULL;
    PyObject *identity = PyObject_CallOneArg(hash_bytes, encoded);
    Py_DECREF(encoded);
    return identity;
}

/* Take an event that leads to nothing into what is remembered, as `journeys.decide` would; or leave everything as it
 * is and return False, and then it has to. First all is foreseen, then changed. */
static PyObject *take_quietly(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    Step steps[MOST_STEPS];
    Remembered remembered;
    long long at, now, mask, last_place, place = 0;
    double weight;
    Py_ssize_t taken = 0;
    if (count != 4 || !Py_IS_TYPE(args[1], Event) || !is_text(FIELD(args[1], event_at[EVENT_ID]))) {
        PyErr_SetString(PyExc_TypeError, "take_quietly takes a customer, an event, plans and the time");
        return NULL;
    }
    PyObject *customer = args[0], *event = args[1], *identity = hash_of(FIELD(event, event_at[EVENT_ID]));
    if (identity == NULL) return NULL;
    PyObject *type = FIELD(event, event_at[TYPE]), *plans = args[2];
    if (!Py_IS_TYPE(customer, Customer) || !is_text(type) || !number(args[3], &now) || !PyTuple_CheckExact(plans) ||
        PyTuple_GET_SIZE(plans) != 2 || !PyDict_CheckExact(PyTuple_GET_ITEM(plans, 0)))
        return identity;
    PyObject *plan = PyDict_GetItemWithError(PyTuple_GET_ITEM(plans, 0), type);
    if (plan == NULL) plan = PyTuple_GET_ITEM(plans, 1);
    if (!PyTuple_CheckExact(plan) || PyTuple_GET_SIZE(plan) != PLAN_PARTS) return identity;
    unsigned long long name = PyLong_AsUnsignedLongLong(identity);
    if (PyErr_Occurred()) goto failed;
    PyObject *parts = PyTuple_GET_ITEM(plan, STEPS), *of_all_object = PyTuple_GET_ITEM(plan, OF_ALL);
    PyObject *weight_object = PyTuple_GET_ITEM(plan, WEIGHT);
    if (!PyTuple_CheckExact(of_all_object) || PyTuple_GET_SIZE(of_all_object) != OF_ALL_PARTS ||
        !PyTuple_CheckExact(parts) || PyTuple_GET_SIZE(parts) > MOST_STEPS || !is_float(weight_object, &weight))
        return identity;
    PyObject *const *of_all = ((PyTupleObject *)of_all_object)->ob_item;
    PyObject *at_object = FIELD(event, event_at[OCCURRED_AT]), *counts = FIELD(customer, customer_at[COUNTS]);
    PyObject *timeline = FIELD(customer, customer_at[TIMELINE]), *seen = FIELD(customer, customer_at[SEEN]);
    if (!number(at_object, &at) || at < 0 || at > MOST / places_of_ms || counts == NULL || !PyDict_CheckExact(counts) ||
        !concerns_nobody(customer, event, of_all, at, now) || !look_up(seen, name, now, &remembered) ||
        remembered.is_known)
        return identity;
    int is_counted = PyDict_Contains(counts, type);
    if (is_counted < 0) goto failed;
    if (!is_counted && PyDict_GET_SIZE(counts) >= most_counted) return identity;
    if (of_all[LEASTS] != Py_None && !(score_stays_below(customer, of_all, weight, at, now) &&
                                       session_stays_below(FIELD(customer, customer_at[SESSION]),
                                                           of_all[LOWEST_OF_SESSION], at)))
        return identity;
    int has_place = of_all[HAS_STRICT] == Py_True;
    if (has_place) {
        if (timeline == NULL || !PyList_CheckExact(timeline)) return identity;
        Py_ssize_t size = PyList_GET_SIZE(timeline);
        if (size && (!number(PyList_GET_ITEM(timeline, size - 1), &last_place) || last_place >= at * places_of_ms))
            return identity;
        place = at * places_of_ms + 2;
    }
    int is_certain = look_at(PyTuple_GET_ITEM(plan, TESTS), customer, event, args[3], of_all[HALF_LIFE], &mask);
    if (is_certain < 0) goto failed;
    if (!is_certain) return identity;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(parts); index++) {
        int found = foresee(customer, PyTuple_GET_ITEM(parts, index), mask, at, place, &steps[taken]);
        if (found < 0 && PyErr_Occurred()) goto failed;
        if (found < 0) return identity;
        taken += found;
    }
    PyObject *new_seen = remembering(seen, name, now, &remembered);
    if (new_seen == NULL && PyErr_Occurred()) goto failed;
    if (new_seen == NULL) return identity;
    Py_DECREF(identity);

    PyObject *to_observe[] = {customer, event, weight_object, of_all[HALF_LIFE], args[3]};
    PyObject *to_timeline[] = {timeline, at_object}, *place_object = NULL, *done;
    put(customer, customer_at[SEEN], new_seen);
    put_known(customer, customer_at[NOW], args[3]);
    if ((done = observe(self, to_observe, 5)) == NULL) return NULL;
    Py_DECREF(done);
    if (has_place && (place_object = add_place(self, to_timeline, 2)) == NULL) return NULL;
    int failed = 0;
    for (Py_ssize_t index = 0; index < taken && !failed; index++) {
        Step *step = &steps[index];
        if (step->memory == NULL && (failed = begin_memory(customer, step)) != 0) break;
        if (step->kind == COUNTS_UP) {
            failed = PyList_Append(step->memory, at_object);
            continue;
        }
        PyObject *those = PyLong_FromLongLong(step->bits);
        if (those == NULL) failed = -1;
        else failed = step->kind == STRICT ? take_strict(step, place_object, those)
                                           : take_relaxed(step, at_object, those);
        Py_XDECREF(those);
    }
    Py_XDECREF(place_object);
    if (failed) return NULL;
    Py_RETURN_NONE;

failed:
    Py_DECREF(identity);
    return NULL;
}

/* When she is due ---------------------------------------------------------------------------------------------- */

enum { WATCH_NUMBER, CHURN_MS, MOST_AGE, LATE_MS, SILENT, DEADLINE_PARTS };
enum { SILENCE_KEY, SILENCE_MS, SINCE, SILENCE_PARTS };

/* When a silence becomes long enough; 1 with it, 0 where it doesn't, -1 where that isn't known here. */
static int silence_due(PyObject *customer, PyObject *silence, long long began, long long seen_at, long long most_age,
                       long long late, long long *due) {
    long long lasts, since, answered = 0;
    PyObject *silences = FIELD(customer, customer_at[SILENCES]);
    if (!PyTuple_CheckExact(silence) || PyTuple_GET_SIZE(silence) != SILENCE_PARTS || silences == NULL ||
        !PyDict_CheckExact(silences))
        return -1;
    PyObject *known = PyDict_GetItemWithError(silences, PyTuple_GET_ITEM(silence, SILENCE_KEY));
    if (known == NULL && PyErr_Occurred()) return -1;
    if (known != NULL && !number(known, &answered)) return -1;
    if (!number(PyTuple_GET_ITEM(silence, SILENCE_MS), &lasts) || !number(PyTuple_GET_ITEM(silence, SINCE), &since))
        return -1;
    if ((known != NULL && answered == began) || seen_at - began > most_age || began + lasts <= since) return 0;
    *due = began + lasts > seen_at ? began + lasts : seen_at + late;
    return 1;
}

/* The deadline of somebody who waits for nothing but silences; an ellipsis for everybody else. */
static PyObject *silent_deadline(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long wanted, watched_by, churn = 0, most_age, late, began = 0, seen_at = 0, now, due, soonest = 0;
    int no_churn, no_activity, no_seen_at, has_soonest = 0;
    if (count != 2 || !Py_IS_TYPE(args[0], Customer) || !PyTuple_CheckExact(args[1]) ||
        PyTuple_GET_SIZE(args[1]) != DEADLINE_PARTS)
        return Py_NewRef(Py_Ellipsis);
    PyObject *customer = args[0], *const *parts = ((PyTupleObject *)args[1])->ob_item, *silences = parts[SILENT];
    PyObject *flips = FIELD(customer, customer_at[SEGMENT_FLIPS]), *stage = FIELD(customer, customer_at[STAGE]);
    if (!empty_list(FIELD(customer, customer_at[EXECUTIONS])) || !empty_list(FIELD(customer, customer_at[ABSENCES])) ||
        !empty_list(FIELD(customer, customer_at[ATTRIBUTABLE])) || flips == NULL || !PyDict_CheckExact(flips) ||
        PyDict_GET_SIZE(flips) || FIELD(customer, customer_at[STAGE_FLIP]) != Py_None || !is_text(stage) ||
        FIELD(customer, customer_at[IS_VISITOR]) != Py_False || !PyTuple_CheckExact(silences))
        return Py_NewRef(Py_Ellipsis);
    if (!number(parts[WATCH_NUMBER], &wanted) || !number(FIELD(customer, customer_at[WATCHED_BY]), &watched_by) ||
        watched_by != wanted || !number_or_none(parts[CHURN_MS], &churn, &no_churn) ||
        !number(parts[MOST_AGE], &most_age) || !number(parts[LATE_MS], &late) ||
        !number(FIELD(customer, customer_at[NOW]), &now) ||
        !number_or_none(FIELD(customer, customer_at[LAST_ACTIVITY]), &began, &no_activity) ||
        !number_or_none(FIELD(customer, customer_at[ACTIVITY_SEEN_AT]), &seen_at, &no_seen_at))
        return Py_NewRef(Py_Ellipsis);
    if (no_activity) Py_RETURN_NONE;
    if (no_seen_at) seen_at = began;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(silences); index++) {
        int found = silence_due(customer, PyTuple_GET_ITEM(silences, index), began, seen_at, most_age, late, &due);
        if (found < 0) {
            if (PyErr_Occurred()) return NULL;
            return Py_NewRef(Py_Ellipsis);
        }
        if (found && (!has_soonest || due < soonest)) has_soonest = 1, soonest = due;
    }
    if (!no_churn && !same_text(stage, churned) && began + churn > now && (!has_soonest || began + churn < soonest))
        has_soonest = 1, soonest = began + churn;
    if (!has_soonest) Py_RETURN_NONE;
    return PyLong_FromLongLong(soonest);
}

/* Runs of records ------------------------------------------------------------------------------------------------
 *
 * Of the records of a slice most are events that lead to nothing, and what is around `decide` costs as much as they
 * do. `take_run` goes from one to the next until one comes that it doesn't know all about; what it needs is given to
 * it, so it knows nothing of who keeps it.
 */

enum { CUSTOMERS, CHANGED, DEADLINES, INDEXED, ASIDE, SOURCES, RUN_MEMORY_PARTS };
enum { RUN_PLANS, RUN_SILENCES, RUN_DECODE, RUN_TOUCH, RUN_SOURCE_NAME, RUN_ORIGIN_BYTES, RUN_RULES_PARTS };
static PyObject *key_name, *value_name, *timestamp_name, *headers_name;

/* The first header's value where that is the source, and nobody has seen it or a later one; borrowed, NULL otherwise. */
static PyObject *new_source(PyObject *headers, PyObject *name, PyObject *sources, Py_ssize_t origin_bytes,
                            PyObject **origin) {
    PyObject *first = NULL;
    if (PyList_CheckExact(headers) && PyList_GET_SIZE(headers)) first = PyList_GET_ITEM(headers, 0);
    if (PyTuple_CheckExact(headers) && PyTuple_GET_SIZE(headers)) first = PyTuple_GET_ITEM(headers, 0);
    if (first == NULL || !PyTuple_CheckExact(first) || PyTuple_GET_SIZE(first) != 2) return NULL;
    PyObject *source = PyTuple_GET_ITEM(first, 1);
    if (!is_text(PyTuple_GET_ITEM(first, 0)) || !same_text(PyTuple_GET_ITEM(first, 0), name) ||
        !PyBytes_CheckExact(source) || PyBytes_GET_SIZE(source) <= origin_bytes)
        return NULL;
    *origin = PyBytes_FromStringAndSize(PyBytes_AS_STRING(source), origin_bytes);
    if (*origin == NULL) return NULL;
    PyObject *last = PyDict_GetItemWithError(sources, *origin);
    if (last != NULL && PyBytes_CheckExact(last) && PyBytes_GET_SIZE(last) == PyBytes_GET_SIZE(source) &&
        memcmp(PyBytes_AS_STRING(source), PyBytes_AS_STRING(last), PyBytes_GET_SIZE(last)) > 0)
        return source;
    Py_CLEAR(*origin);
    return NULL;
}

/* Note that she was changed, and when she is due: here, where all that changes is that she is due later. */
static int note_change(PyObject *const *memory, PyObject *const *rules, PyObject *key, PyObject *customer) {
    long long due, indexed;
    if (rules[RUN_SILENCES] != Py_None && PyDict_Contains(memory[CHANGED], key) == 1) {
        PyObject *pair[] = {customer, rules[RUN_SILENCES]}, *deadline = silent_deadline(NULL, pair, 2);
        if (deadline == NULL) return -1;
        PyObject *known = PyDict_GetItemWithError(memory[INDEXED], key);
        if (number(deadline, &due) && number(known, &indexed) && indexed <= due) {
            int failed = PyDict_SetItem(memory[CHANGED], key, deadline) < 0 ||
                         PyDict_SetItem(memory[DEADLINES], key, deadline) < 0;
            Py_DECREF(deadline);
            return failed ? -1 : 0;
        }
        Py_DECREF(deadline);
    }
    if (PyErr_Occurred()) return -1;
    PyObject *done = PyObject_CallFunctionObjArgs(rules[RUN_TOUCH], key, customer, NULL);
    if (done == NULL) return -1;
    Py_DECREF(done);
    return 0;
}

/* Take one record: 1 where it is taken, 0 where nothing was changed, -1 with an error. `event` is what was decoded. */
static int take_record(PyObject *record, PyObject *const *memory, PyObject *const *rules, Py_ssize_t origin_bytes,
                       PyObject **event) {
    PyObject *key = NULL, *headers = NULL, *timestamp = NULL, *value = NULL, *origin = NULL, *source, *now_object;
    long long at, now, due;
    int taken = 0;
    if ((key = PyObject_GetAttr(record, key_name)) == NULL) goto failed;
    if (!PyBytes_CheckExact(key)) goto done;
    PyObject *customer = PyDict_GetItemWithError(memory[CUSTOMERS], key);
    if (customer == NULL || !Py_IS_TYPE(customer, Customer) || PyDict_GET_SIZE(memory[ASIDE]) ||
        !empty_list(FIELD(customer, customer_at[PENDING])))
        goto done;
    if ((headers = PyObject_GetAttr(record, headers_name)) == NULL) goto failed;
    source = new_source(headers, rules[RUN_SOURCE_NAME], memory[SOURCES], origin_bytes, &origin);
    if (source == NULL) goto done;
    if ((timestamp = PyObject_GetAttr(record, timestamp_name)) == NULL) goto failed;
    PyObject *due_object = PyDict_GetItemWithError(memory[DEADLINES], key);
    if (!number(timestamp, &at) || !number(FIELD(customer, customer_at[NOW]), &now) ||
        (due_object != NULL && (!number(due_object, &due) || due <= at)))
        goto done;
    if ((value = PyObject_GetAttr(record, value_name)) == NULL) goto failed;
    *event = PyObject_CallOneArg(rules[RUN_DECODE], value);
    if (*event == NULL) {
        /* Whoever takes the record will meet the same error. */
        PyErr_Clear();
        goto done;
    }
    now_object = at > now ? timestamp : FIELD(customer, customer_at[NOW]);
    PyObject *arguments[] = {customer, *event, rules[RUN_PLANS], now_object};
    PyObject *answer = take_quietly(NULL, arguments, 4);
    if (answer == NULL) goto failed;
    taken = answer == Py_None;
    Py_DECREF(answer);
    if (!taken) goto done;
    Py_CLEAR(*event);
    if (PyDict_SetItem(memory[SOURCES], origin, source) < 0 || note_change(memory, rules, key, customer) < 0)
        goto failed;
    goto done;
failed:
    taken = -1;
done:
    Py_XDECREF(key), Py_XDECREF(headers), Py_XDECREF(timestamp), Py_XDECREF(value), Py_XDECREF(origin);
    return PyErr_Occurred() ? -1 : taken;
}

/* Take records from a place on, as long as they are events that lead to nothing; return the place of the first that
 * isn't, and its event where it was decoded on the way. */
static PyObject *take_run(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long place, origin_bytes;
    if (count != 4 || !PyList_CheckExact(args[0]) || !number(args[1], &place) || place < 0 ||
        !PyTuple_CheckExact(args[2]) || PyTuple_GET_SIZE(args[2]) != RUN_MEMORY_PARTS || !PyTuple_CheckExact(args[3]) ||
        PyTuple_GET_SIZE(args[3]) != RUN_RULES_PARTS)
        goto unknown;
    PyObject *const *memory = ((PyTupleObject *)args[2])->ob_item, *const *rules = ((PyTupleObject *)args[3])->ob_item;
    for (int part = 0; part < RUN_MEMORY_PARTS; part++) {
        if (!PyDict_CheckExact(memory[part])) goto unknown;
    }
    if (!number(rules[RUN_ORIGIN_BYTES], &origin_bytes) || !is_text(rules[RUN_SOURCE_NAME])) goto unknown;
    PyObject *event = NULL;
    while (place < PyList_GET_SIZE(args[0])) {
        PyObject *record = Py_NewRef(PyList_GET_ITEM(args[0], (Py_ssize_t)place));
        int taken = take_record(record, memory, rules, (Py_ssize_t)origin_bytes, &event);
        Py_DECREF(record);
        if (taken < 0) {
            Py_XDECREF(event);
            return NULL;
        }
        if (!taken) break;
        place++;
    }
    return Py_BuildValue("LN", place, event == NULL ? Py_NewRef(Py_None) : event);
unknown:
    PyErr_SetString(PyExc_TypeError, "take_run takes a list of records, a place, memory and rules");
    return NULL;
}

/* Find where a struct keeps its fields; 0, with an error set, when that isn't told as expected. */
static int locate(PyTypeObject *type, const char *const *names, Py_ssize_t *offsets, int number_of_fields) {
    for (int index = 0; index < number_of_fields; index++) {
        PyObject *found = PyObject_GetAttrString((PyObject *)type, names[index]);
        if (found == NULL) return 0;
        PyMemberDef *member = Py_IS_TYPE(found, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)found)->d_member : NULL;
        int fits = member != NULL && member->type == T_OBJECT_EX && PyType_IsSubtype(type, PyDescr_TYPE(found)) &&
                   member->offset >= (Py_ssize_t)sizeof(PyObject) &&
                   member->offset + (Py_ssize_t)sizeof(PyObject *) <= type->tp_basicsize;
        offsets[index] = fits ? member->offset : 0;
        Py_DECREF(found);
        if (!fits) {
            PyErr_Format(PyExc_TypeError, "%s.%s isn't kept as expected", type->tp_name, names[index]);
            return 0;
        }
    }
    return 1;
}

static PyObject *bind(PyObject *self, PyObject *args) {
    PyObject *types[5], *sets[2], *plains[9], *words[3];
    if (!PyArg_ParseTuple(args, "(O!O!O!O!O!)(O!O!)(UUU)(OOOOOOOOO)(LLLLLLLLLLL)", &PyType_Type, &types[0], &PyType_Type,
                          &types[1], &PyType_Type, &types[2], &PyType_Type, &types[3], &PyType_Type, &types[4],
                          &PyFrozenSet_Type, &sets[0], &PyFrozenSet_Type, &sets[1], &words[0], &words[1],
                          &words[2], &plains[0], &plains[1],
                          &plains[2], &plains[3], &plains[4], &plains[5], &plains[6], &plains[7], &plains[8], &recent_events, &seen_events,
                          &session_gap_ms, &day_ms, &places_of_ms, &most_timeline, &kept_late, &slack,
                          &most_counted, &earliest, &latest_instant))
        return NULL;
    if (!locate((PyTypeObject *)types[0], customer_fields, customer_at, CUSTOMER_FIELDS) ||
        !locate((PyTypeObject *)types[1], event_fields, event_at, EVENT_FIELDS) ||
        !locate((PyTypeObject *)types[2], session_fields, session_at, SESSION_FIELDS) ||
        !locate((PyTypeObject *)types[3], memory_fields, memory_at, MEMORY_FIELDS) ||
        !locate((PyTypeObject *)types[4], sequence_fields, sequence_at, SEQUENCE_FIELDS))
        return NULL;
    /* Values that the collector of cycles follows must not be put behind its back. */
    for (int index = 0; index < 4; index++) {
        if (PyType_IS_GC((PyTypeObject *)types[index]) && index != 3) {
            PyErr_SetString(PyExc_TypeError, "a struct that is changed in place is followed by the collector");
            return NULL;
        }
    }
    Customer = (PyTypeObject *)Py_NewRef(types[0]), Event = (PyTypeObject *)Py_NewRef(types[1]);
    Session = (PyTypeObject *)Py_NewRef(types[2]), Memory = (PyTypeObject *)Py_NewRef(types[3]);
    Sequence = (PyTypeObject *)Py_NewRef(types[4]);
    engaged = Py_NewRef(sets[0]), page_views = Py_NewRef(sets[1]), behavioral = Py_NewRef(words[0]);
    churned = Py_NewRef(words[1]), score_name = Py_NewRef(words[2]);
    plain_observe = Py_NewRef(plains[0]), plain_seen = Py_NewRef(plains[1]), plain_add_place = Py_NewRef(plains[2]);
    plain_relaxed = Py_NewRef(plains[3]), plain_strict = Py_NewRef(plains[4]), plain_raises = Py_NewRef(plains[5]);
    if ((key_name = PyUnicode_InternFromString("key")) == NULL ||
        (value_name = PyUnicode_InternFromString("value")) == NULL ||
        (timestamp_name = PyUnicode_InternFromString("timestamp")) == NULL ||
        (headers_name = PyUnicode_InternFromString("headers")) == NULL)
        return NULL;
    hash_bytes = Py_NewRef(plains[6]), decode_object = Py_NewRef(plains[7]), plain_mask = Py_NewRef(plains[8]);
    Py_RETURN_NONE;
}

#define FAST(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}
static PyMethodDef functions[] = {{"bind", bind, METH_VARARGS, NULL}, FAST(observe), FAST(seen_before),
                                  FAST(add_place), FAST(advance_relaxed), FAST(advance_strict), FAST(count_raises),
                                  FAST(take_quietly), FAST(silent_deadline), FAST(take_run),
                                  {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_hot", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__hot(void) { return PyModule_Create(&module); }
