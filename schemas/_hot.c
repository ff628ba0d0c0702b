/* The common case of a public record, read, checked and written for the log in one pass over its bytes.
 *
 * `read_envelope`, `check_envelope` and `encode_event` of `schemas` say what is right. Here a record is done as a whole
 * or not at all: what isn't plain (a mistake of the producer, an escape, an exponent, a name given twice, a type that
 * may link two customers) is left to them. So only what is surely the same is done here.
 *
 * Theory: what they write is JSON as msgspec writes it, made of what msgspec has read. Without escapes, names given
 * twice and unusual numbers that is the text of the record itself without the white space; only numbers with a
 * fraction may lose zeros at their end. Bytes objects end with a zero byte beyond their length, which no rule below
 * accepts, so that no step looks behind the end.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

enum {
    EVENT_ID, TYPE, OCCURRED_AT, CUSTOMER_ID, ANONYMOUS_ID, RECEIVED_AT, SOURCE, SESSION_ID, PROPERTIES, CONTEXT, TOPIC,
    FIELDS
};
#define NAME(text) {text, sizeof(text) - 1}
static const struct {
    const char *text;
    size_t length;
} names[FIELDS] = {NAME("event_id"),    NAME("type"),   NAME("occurred_at"), NAME("customer_id"),
                   NAME("anonymous_id"), NAME("received_at"), NAME("source"), NAME("session_id"),
                   NAME("properties"),  NAME("context"), NAME("topic")};

#define LARGEST 60000 /* bytes of a record; what is larger may be too large */
#define DEEPEST 32    /* levels; more are rare, and need the stack */
#define MOST_NAMES 32 /* of one object, since each is compared with all before it */
#define MOST_DIGITS 15 /* as many a double keeps, whatever they are */
#define MOST_WHOLE_DIGITS 18 /* as many 64 bits hold, whatever they are */
#define MOST_ZEROS 3 /* behind the point of a number below 1; with more it is written with an exponent */

typedef unsigned char byte;
typedef struct {
    const byte *at;
    size_t length;
} Span;
typedef struct {
    int machine, has_address;
} Noted;

static byte made[LARGEST + 1]; /* properties and context without white space; used under the interpreter's lock */
static byte *out;
static const byte *at;
static PyObject *linking; /* the types that may make two records: a tuple of bytes */
static long long earliest, latest;
static size_t longest_id;

static void skip_space(void) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}

/* Pass one character beyond ASCII, if it is one that UTF-8 allows (RFC 3629, section 4). */
static int pass_character(void) {
    byte first = at[0], low = 0x80, high = 0xBF;
    int more = first >= 0xC2 && first <= 0xDF ? 1 : first >= 0xE0 && first <= 0xEF ? 2 : 3;
    if (more == 3 && (first < 0xF0 || first > 0xF4)) return 0;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    if (at[1] < low || at[1] > high) return 0;
    for (int n = 2; n <= more; n++) {
        if (at[n] < 0x80 || at[n] > 0xBF) return 0;
    }
    at += more + 1;
    return 1;
}

/* Read a text without escapes; the span has no quotes. */
static int read_text(Span *found) {
    if (*at != '"') return 0;
    found->at = ++at;
    while (*at != '"') {
        if (*at >= 0x80) {
            if (!pass_character()) return 0;
        } else if (*at < 0x20 || *at == '\\') {
            return 0;
        } else {
            at++;
        }
    }
    found->length = (size_t)(at++ - found->at);
    return 1;
}

static void put(const void *text, size_t length) {
    memcpy(out, text, length);
    out += length;
}

static int is(Span span, const char *text, size_t length) {
    return span.length == length && memcmp(span.at, text, length) == 0;
}

static int copy_text(Span *found) {
    if (!read_text(found)) return 0;
    put(found->at - 1, found->length + 2);
    return 1;
}

/* Copy a number that is written again as it stands, but for zeros at the end of a fraction. */
static int copy_number(void) {
    const byte *begin = at;
    if (*at == '-') at++;
    const byte *digits = at;
    while (*at >= '0' && *at <= '9') at++;
    size_t whole = (size_t)(at - digits);
    if (whole == 0 || whole > MOST_WHOLE_DIGITS || (*digits == '0' && whole > 1)) return 0;
    if (*at == 'e' || *at == 'E') return 0;
    if (*at != '.') {
        if (*digits == '0' && begin != digits) return 0; /* -0 */
        put(begin, (size_t)(at - begin));
        return 1;
    }
    const byte *fraction = ++at;
    while (*at >= '0' && *at <= '9') at++;
    if (at == fraction || *at == 'e' || *at == 'E') return 0;
    const byte *end = at;
    while (end > fraction + 1 && end[-1] == '0') end--;
    if (whole + (size_t)(end - fraction) > MOST_DIGITS) return 0;
    if (*digits == '0') {
        const byte *first = fraction;
        while (first < end && *first == '0') first++;
        /* Zero has no sign; small ones have an exponent. */
        if (first == end ? begin != digits : first - fraction > MOST_ZEROS) return 0;
    }
    put(begin, (size_t)(end - begin));
    return 1;
}

static int copy_word(const char *word, size_t length) {
    if (strncmp((const char *)at, word, length) != 0) return 0;
    at += length;
    put(word, length);
    return 1;
}

static int copy_value(int depth);

static int copy_list(int depth) {
    *out++ = *at++;
    skip_space();
    if (*at == ']') {
        *out++ = *at++;
        return 1;
    }
    for (;;) {
        skip_space();
        if (!copy_value(depth)) return 0;
        skip_space();
        if (*at != ',' && *at != ']') return 0;
        *out++ = *at;
        if (*at++ == ']') return 1;
    }
}

static int copy_object(int depth, Noted *noted) {
    Span known[MOST_NAMES];
    int count = 0;
    *out++ = *at++;
    skip_space();
    if (*at == '}') {
        *out++ = *at++;
        return 1;
    }
    for (;;) {
        skip_space();
        if (count == MOST_NAMES || !copy_text(&known[count])) return 0;
        Span name = known[count];
        for (int n = 0; n < count; n++) {
            if (known[n].length == name.length && memcmp(known[n].at, name.at, name.length) == 0) return 0;
        }
        count++;
        skip_space();
        if (*at != ':') return 0;
        *out++ = *at++;
        skip_space();
        if (noted != NULL) {
            if (is(name, "machine", 7) && *at == 't') noted->machine = 1;
            if (is(name, "email", 5) || is(name, "phone", 5)) noted->has_address = 1;
        }
        if (!copy_value(depth)) return 0;
        skip_space();
        if (*at != ',' && *at != '}') return 0;
        *out++ = *at;
        if (*at++ == '}') return 1;
    }
}

static int copy_value(int depth) {
    Span text;
    switch (*at) {
    case '"': return copy_text(&text);
    case '{': return depth < DEEPEST && copy_object(depth + 1, NULL);
    case '[': return depth < DEEPEST && copy_list(depth + 1);
    case 't': return copy_word("true", 4);
    case 'f': return copy_word("false", 5);
    case 'n': return copy_word("null", 4);
    default: return copy_number();
    }
}

static int two_digits(const byte *text, int *found) {
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return 0;
    *found = (text[0] - '0') * 10 + text[1] - '0';
    return 1;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", days_from_civil; for years from 1 on). */
static long long days_to(int year, int month, int day) {
    year -= month <= 2;
    int era = year / 400, of_era = year - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097LL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Read an RFC 3339 time as `_COMMON` of `schemas.instants` has it, with nothing of the calendar out of range. */
static int parse_time(Span text, long long *found) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const byte *s = text.at, *end = s + text.length;
    int century, year, month, day, hour, minute, second, milliseconds = 0, offset = 0;
    if (text.length < 20 || !two_digits(s, &century) || !two_digits(s + 2, &year) || s[4] != '-' ||
        !two_digits(s + 5, &month) || s[7] != '-' || !two_digits(s + 8, &day) || s[10] != 'T' ||
        !two_digits(s + 11, &hour) || s[13] != ':' || !two_digits(s + 14, &minute) || s[16] != ':' ||
        !two_digits(s + 17, &second))
        return 0;
    year += century * 100;
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return 0;
    int leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > days[month - 1] + leap) return 0;
    s += 19;
    if (*s == '.') {
        const byte *fraction = ++s;
        for (; *s >= '0' && *s <= '9'; s++) {
            if (s - fraction < 3) milliseconds = milliseconds * 10 + *s - '0';
        }
        if (s == fraction || s - fraction > 9) return 0;
        for (int n = (int)(s - fraction); n < 3; n++) milliseconds *= 10;
    }
    if (*s == 'Z') {
        if (s + 1 != end) return 0;
    } else {
        int hours, minutes;
        if (end - s != 6 || (*s != '+' && *s != '-') || !two_digits(s + 1, &hours) || s[3] != ':' ||
            !two_digits(s + 4, &minutes) || hours > 23 || minutes > 59)
            return 0;
        offset = (hours * 60 + minutes) * (*s == '-' ? -1 : 1);
    }
    long long minutes_since = days_to(year, month, day) * 1440 + hour * 60 + minute - offset;
    *found = (minutes_since * 60 + second) * 1000 + milliseconds;
    return *found >= earliest && *found <= latest;
}

/* Read an instant: text, or whole milliseconds. */
static int read_instant(long long *found) {
    Span text;
    if (*at == '"') return read_text(&text) && parse_time(text, found);
    int negative = *at == '-';
    if (negative) at++;
    const byte *digits = at;
    long long number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (at - digits == MOST_DIGITS) return 0;
        number = number * 10 + *at - '0';
    }
    if (at == digits || (*digits == '0' && (at > digits + 1 || negative))) return 0;
    if (*at == '.' || *at == 'e' || *at == 'E') return 0;
    *found = negative ? -number : number;
    return *found >= earliest && *found <= latest;
}

static int read_null(void) {
    if (strncmp((const char *)at, "null", 4) != 0) return 0;
    at += 4;
    return 1;
}

/* Read properties or context without its white space: an object, or null, which is an empty one. */
static int read_object(Span *found, Noted *noted) {
    found->at = out;
    if (*at == '{') {
        if (!copy_object(1, noted)) return 0;
    } else {
        if (!read_null()) return 0;
        put("{}", 2);
    }
    found->length = (size_t)(out - found->at);
    return 1;
}

typedef struct {
    Span texts[FIELDS];
    long long occurred_at, received_at;
    int was_received;
    Noted noted;
} Read;

static int read_field(int field, Read *read) {
    switch (field) {
    case OCCURRED_AT: return read_instant(&read->occurred_at);
    case RECEIVED_AT:
        if (*at == 'n') return read_null();
        read->was_received = 1;
        return read_instant(&read->received_at);
    case PROPERTIES: return read_object(&read->texts[field], &read->noted);
    case CONTEXT: return read_object(&read->texts[field], NULL);
    default:
        if (*at == 'n') return read_null();
        return read_text(&read->texts[field]) && (field == TOPIC || read->texts[field].length <= longest_id);
    }
}

static int read_record(Read *read) {
    unsigned known = 0;
    Span name;
    skip_space();
    if (*at++ != '{') return 0;
    for (;;) {
        skip_space();
        if (!read_text(&name)) return 0;
        skip_space();
        if (*at++ != ':') return 0;
        skip_space();
        int field = 0;
        while (field < FIELDS && !is(name, names[field].text, names[field].length)) field++;
        if (field == FIELDS) {
            byte *before = out;
            if (!copy_value(1)) return 0;
            out = before;
        } else {
            if (known & 1u << field || !read_field(field, read)) return 0;
            known |= 1u << field;
        }
        skip_space();
        if (*at == '}') break;
        if (*at++ != ',') return 0;
    }
    at++;
    skip_space();
    return (known & 1u << OCCURRED_AT) && read->texts[EVENT_ID].length && read->texts[TYPE].length &&
           (read->texts[CUSTOMER_ID].length || read->texts[ANONYMOUS_ID].length);
}

static int may_link(Span type) {
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(linking); n++) {
        PyObject *one = PyTuple_GET_ITEM(linking, n);
        if (is(type, PyBytes_AS_STRING(one), (size_t)PyBytes_GET_SIZE(one))) return 1;
    }
    return 0;
}

static void put_text(const char *name, Span text) {
    if (text.length == 0) return;
    put(name, strlen(name));
    *out++ = '"';
    put(text.at, text.length);
    *out++ = '"';
}

static void put_number(const char *name, long long number) {
    put(name, strlen(name));
    out += sprintf((char *)out, "%lld", number);
}

static void put_object(const char *name, Span text) {
    put(name, strlen(name));
    put(text.length ? text.at : (const byte *)"{}", text.length ? text.length : 2);
}

#define ROOM 512 /* for names, numbers and the stream, beside what comes from the record */

/* Write the event as msgspec writes an `Event`: in the order of its fields, without those that are as by default. */
static PyObject *write_event(const Read *read, Span stream) {
    static byte written[2 * LARGEST + ROOM];
    const Span *texts = read->texts;
    out = written;
    put_text("{\"event_id\":", texts[EVENT_ID]);
    put_text(",\"type\":", texts[TYPE]);
    put_number(",\"occurred_at\":", read->occurred_at);
    put_text(",\"stream\":", stream);
    put_text(",\"customer_id\":", texts[CUSTOMER_ID]);
    put_text(",\"anonymous_id\":", texts[ANONYMOUS_ID]);
    if (read->was_received) put_number(",\"received_at\":", read->received_at);
    put_text(",\"source\":", texts[SOURCE]);
    put_text(",\"session_id\":", texts[SESSION_ID]);
    put_object(",\"properties\":", texts[PROPERTIES]);
    put_object(",\"context\":", texts[CONTEXT]);
    if (read->noted.machine) put(",\"machine\":true", 15);
    if (read->noted.has_address) put(",\"has_address\":true", 19);
    *out++ = '}';
    return PyBytes_FromStringAndSize((const char *)written, out - written);
}

static PyObject *key_of(const Read *read) {
    int is_visitor = read->texts[CUSTOMER_ID].length == 0;
    Span id = read->texts[is_visitor ? ANONYMOUS_ID : CUSTOMER_ID];
    PyObject *key = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)id.length + 2);
    if (key == NULL) return NULL;
    memcpy(PyBytes_AS_STRING(key), is_visitor ? "a:" : "c:", 2);
    memcpy(PyBytes_AS_STRING(key) + 2, id.at, id.length);
    return key;
}

static PyObject *translate(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    if (linking == NULL || count != 2 || !PyBytes_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "translate takes the bytes of a record and the name of a stream");
        return NULL;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(args[0]), stream_length;
    const char *stream = PyUnicode_AsUTF8AndSize(args[1], &stream_length);
    if (stream == NULL) return NULL;
    const byte *begin = (const byte *)PyBytes_AS_STRING(args[0]);
    Read read = {0};
    at = begin, out = made;
    if (length > LARGEST || stream_length > 64 || !read_record(&read) || at != begin + length ||
        may_link(read.texts[TYPE]))
        Py_RETURN_NONE;
    PyObject *key = key_of(&read);
    if (key == NULL) return NULL;
    PyObject *value = write_event(&read, (Span){(const byte *)stream, (size_t)stream_length});
    PyObject *pair = value == NULL ? NULL : PyTuple_Pack(2, key, value);
    Py_DECREF(key);
    Py_XDECREF(value);
    return pair;
}

/* MurmurHash2 as Kafka's Java clients have it (org.apache.kafka.common.utils.Utils.murmur2). */
static PyObject *murmur2(PyObject *self, PyObject *key) {
    if (!PyBytes_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "murmur2 takes bytes");
        return NULL;
    }
    const byte *s = (const byte *)PyBytes_AS_STRING(key);
    Py_ssize_t length = PyBytes_GET_SIZE(key);
    const unsigned m = 0x5bd1e995;
    unsigned h = 0x9747b28cu ^ (unsigned)length;
    for (; length >= 4; s += 4, length -= 4) {
        unsigned k = s[0] | (unsigned)s[1] << 8 | (unsigned)s[2] << 16 | (unsigned)s[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (length > 2) h ^= (unsigned)s[2] << 16;
    if (length > 1) h ^= (unsigned)s[1] << 8;
    if (length > 0) h = (h ^ s[0]) * m;
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return PyLong_FromUnsignedLong(h);
}

static PyObject *bind(PyObject *self, PyObject *args) {
    PyObject *types;
    long long first, last;
    Py_ssize_t characters;
    if (!PyArg_ParseTuple(args, "O!LLn", &PyTuple_Type, &types, &first, &last, &characters)) return NULL;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(types); n++) {
        if (!PyBytes_Check(PyTuple_GET_ITEM(types, n))) {
            PyErr_SetString(PyExc_TypeError, "a type is given as bytes");
            return NULL;
        }
    }
    Py_XSETREF(linking, Py_NewRef(types));
    earliest = first, latest = last, longest_id = (size_t)characters;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"bind", bind, METH_VARARGS, NULL},
                                  {"translate", (PyCFunction)(void (*)(void))translate, METH_FASTCALL, NULL},
                                  {"murmur2", murmur2, METH_O, NULL},
                                  {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_hot", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__hot(void) { return PyModule_Create(&module); }
