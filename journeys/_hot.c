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

enum { FIRST_SEEN, LAST_ACTIVITY, ACTIVITY_SEEN_AT, SCORE, SCORE_AT, COUNTS, LAST, RECENT, SESSION, CUSTOMER_FIELDS };
enum { OCCURRED_AT, TYPE, STREAM, SESSION_ID, EVENT_FIELDS };
enum { STARTED_AT, LAST_AT, KNOWN_ID, EVENTS, PAGES, SESSION_FIELDS };
enum { PLACES, BITS, LIVE, BEHIND, MEMORY_FIELDS };
enum { LENGTH, LAST_BIT, VOID_BIT, SEQUENCE_FIELDS };

static const char *const customer_fields[] = {"first_seen", "last_activity", "activity_seen_at", "score", "score_at",
                                              "counts", "last", "recent", "session"};
static const char *const event_fields[] = {"occurred_at", "type", "stream", "session_id"};
static const char *const session_fields[] = {"started_at", "last_at", "session_id", "events", "pages"};
static const char *const memory_fields[] = {"places", "bits", "live", "behind"};
static const char *const sequence_fields[] = {"length", "last", "void"};

static PyTypeObject *Customer, *Event, *Session, *Memory, *Sequence;
static Py_ssize_t customer_at[CUSTOMER_FIELDS], event_at[EVENT_FIELDS], session_at[SESSION_FIELDS],
    memory_at[MEMORY_FIELDS], sequence_at[SEQUENCE_FIELDS];
static PyObject *engaged, *page_views, *behavioral;
static PyObject *plain_observe, *plain_seen, *plain_add_place, *plain_relaxed, *plain_strict, *plain_raises;
static long long recent_events, seen_events, session_gap_ms, day_ms, places_of_ms, most_timeline, kept_late, slack;

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

static PyObject *observe(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    long long at, now, first, counted, last, latest, activity = 0, score_time = 0;
    int no_first, no_activity, no_score = 1;
    if (count != 5 || !Py_IS_TYPE(args[0], Customer) || !Py_IS_TYPE(args[1], Event)) return PLAIN(plain_observe);
    PyObject *customer = args[0], *event = args[1], *weight = args[2], *half_life = args[3];
    PyObject *at_object = FIELD(event, event_at[OCCURRED_AT]), *type = FIELD(event, event_at[TYPE]);
    PyObject *stream = FIELD(event, event_at[STREAM]), *named = FIELD(event, event_at[SESSION_ID]);
    PyObject *counts = FIELD(customer, customer_at[COUNTS]), *lasts = FIELD(customer, customer_at[LAST]);
    PyObject *recent = FIELD(customer, customer_at[RECENT]), *session = FIELD(customer, customer_at[SESSION]);
    PyObject *score = FIELD(customer, customer_at[SCORE]);
    if (!number(at_object, &at) || !number(args[4], &now) || !is_text(type) || !is_text(stream) || named == NULL ||
        !(named == Py_None || is_text(named)) || counts == NULL || !PyDict_CheckExact(counts) || lasts == NULL ||
        !PyDict_CheckExact(lasts) || recent == NULL || !PyList_CheckExact(recent) || session == NULL ||
        !PyFloat_CheckExact(weight) || !PyFloat_CheckExact(half_life) || score == NULL || !PyFloat_CheckExact(score))
        return PLAIN(plain_observe);
    if (!number_or_none(FIELD(customer, customer_at[FIRST_SEEN]), &first, &no_first) ||
        !number_or_none(FIELD(customer, customer_at[LAST_ACTIVITY]), &activity, &no_activity))
        return PLAIN(plain_observe);

    int is_engaged = PySet_Contains(engaged, type);
    if (is_engaged < 0) return NULL;
    if (is_engaged) return PLAIN(plain_observe);
    PyObject *known_count = PyDict_GetItemWithError(counts, type);
    if (known_count == NULL && PyErr_Occurred()) return NULL;
    PyObject *known_last = known_count == NULL ? NULL : PyDict_GetItemWithError(lasts, type);
    if (known_last == NULL && PyErr_Occurred()) return NULL;
    if (!number(known_count, &counted) || !number(known_last, &last)) return PLAIN(plain_observe);

    Py_ssize_t size = PyList_GET_SIZE(recent);
    if (size > recent_events) return PLAIN(plain_observe);
    if (size) {
        PyObject *newest = PyList_GET_ITEM(recent, size - 1);
        if (!PyTuple_CheckExact(newest) || PyTuple_GET_SIZE(newest) != 2 ||
            !number(PyTuple_GET_ITEM(newest, 0), &latest) || at < latest)
            return PLAIN(plain_observe);
    }
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
    PyObject *new_count = PyLong_FromLongLong(counted + 1), *entry = PyTuple_Pack(2, at_object, type);
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
    if (new_count == NULL || entry == NULL || (weighs && new_score == NULL) || (opens && new_session == NULL) ||
        (counts_in && (new_events == NULL || (is_view && new_pages == NULL))) ||
        PyDict_SetItem(counts, type, new_count) < 0 || (at > last && PyDict_SetItem(lasts, type, at_object) < 0) ||
        PyList_Append(recent, entry) < 0 ||
        (size + 1 > recent_events && PyList_SetSlice(recent, 0, 1, NULL) < 0)) {
        Py_XDECREF(new_count), Py_XDECREF(entry), Py_XDECREF(new_score);
        Py_XDECREF(new_events), Py_XDECREF(new_pages), Py_XDECREF(new_session);
        return NULL;
    }
    Py_DECREF(new_count), Py_DECREF(entry);
    if (no_first || at < first) put_known(customer, customer_at[FIRST_SEEN], at_object);
    if (is_behavioral && (no_activity || at > activity)) {
        put_known(customer, customer_at[LAST_ACTIVITY], at_object);
        put_known(customer, customer_at[ACTIVITY_SEEN_AT], args[4]);
    }
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
    enum { AT_ONCE = 128 };
    long long now, at;
    PyObject *stale[AT_ONCE], *identity, *value;
    Py_ssize_t position = 0, number_stale = 0;
    if (count != 3 || !PyDict_CheckExact(args[0]) || !PyLong_CheckExact(args[1]) || !number(args[2], &now) ||
        PyDict_GET_SIZE(args[0]) > seen_events || seen_events >= AT_ONCE)
        return PLAIN(plain_seen);
    PyObject *seen = args[0];
    while (PyDict_Next(seen, &position, &identity, &value)) {
        if (!number(value, &at)) return PLAIN(plain_seen);
        if (at > now - day_ms) break;
        stale[number_stale++] = identity;
    }
    for (Py_ssize_t index = 0; index < number_stale; index++) Py_INCREF(stale[index]);
    int result = 0;
    for (Py_ssize_t index = 0; index < number_stale; index++) {
        if (result == 0) result = PyDict_DelItem(seen, stale[index]);
        Py_DECREF(stale[index]);
    }
    if (result < 0) return NULL;
    int known = PyDict_Contains(seen, args[1]);
    if (known < 0) return NULL;
    if (known) Py_RETURN_TRUE;
    if (PyDict_SetItem(seen, args[1], args[2]) < 0) return NULL;
    position = 0;
    if (PyDict_GET_SIZE(seen) > seen_events && PyDict_Next(seen, &position, &identity, &value)) {
        Py_INCREF(identity);
        result = PyDict_DelItem(seen, identity);
        Py_DECREF(identity);
        if (result < 0) return NULL;
    }
    Py_RETURN_FALSE;
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
    PyObject *types[5], *sets[2], *plains[6], *word;
    if (!PyArg_ParseTuple(args, "(O!O!O!O!O!)(O!O!)U(OOOOOO)(LLLLLLLL)", &PyType_Type, &types[0], &PyType_Type,
                          &types[1], &PyType_Type, &types[2], &PyType_Type, &types[3], &PyType_Type, &types[4],
                          &PyFrozenSet_Type, &sets[0], &PyFrozenSet_Type, &sets[1], &word, &plains[0], &plains[1],
                          &plains[2], &plains[3], &plains[4], &plains[5], &recent_events, &seen_events,
                          &session_gap_ms, &day_ms, &places_of_ms, &most_timeline, &kept_late, &slack))
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
    engaged = Py_NewRef(sets[0]), page_views = Py_NewRef(sets[1]), behavioral = Py_NewRef(word);
    plain_observe = Py_NewRef(plains[0]), plain_seen = Py_NewRef(plains[1]), plain_add_place = Py_NewRef(plains[2]);
    plain_relaxed = Py_NewRef(plains[3]), plain_strict = Py_NewRef(plains[4]), plain_raises = Py_NewRef(plains[5]);
    Py_RETURN_NONE;
}

#define FAST(name) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, NULL}
static PyMethodDef functions[] = {{"bind", bind, METH_VARARGS, NULL}, FAST(observe), FAST(seen_before),
                                  FAST(add_place), FAST(advance_relaxed), FAST(advance_strict), FAST(count_raises),
                                  {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_hot", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__hot(void) { return PyModule_Create(&module); }
