// create creates generations with SQLite's C interface in one thread. It is the limit for peers in Go that commit each
// creation.
//
//	create DATABASE each ROWS FIRST	commits each generation
//	create DATABASE once ROWS FIRST	creates all in one transaction
//
// FIRST is the number of the first generation. The program prints the number of generations, the seconds for all, and
// the p99 in seconds of one. With once, the p99 is 0.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sqlite3-binding.h"

#define PROMPTS 500

static sqlite3 *db;

static void check(int ok)
{
	if (!ok) {
		fprintf(stderr, "%s\n", db ? sqlite3_errmsg(db) : "out of memory");
		exit(1);
	}
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *statement;
	check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) == SQLITE_OK);
	return statement;
}

static void run(sqlite3_stmt *statement)
{
	check(sqlite3_step(statement) == SQLITE_DONE);
	sqlite3_reset(statement);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// draw_id writes a UUIDv7: the time in milliseconds, its fraction, so that IDs of a millisecond ascend, and random bits.
static void draw_id(char *id, const struct timespec *at)
{
	static unsigned long long last;
	unsigned long long time = (at->tv_sec * 1000ULL + at->tv_nsec / 1000000) << 12;
	time |= at->tv_nsec % 1000000 * 4096ULL / 1000000;
	unsigned long long bits;
	if (time <= last)
		time = last + 1;
	last = time;
	sqlite3_randomness(sizeof bits, &bits);
	snprintf(id, 37, "%08llx-%04llx-7%03llx-%04llx-%012llx", time >> 28 & 0xffffffff, time >> 12 & 0xffff, time & 0xfff,
		0x8000 | (bits >> 48 & 0x3fff), bits & 0xffffffffffffULL);
}

static sqlite3_stmt *begin, *track, *insert, *commit;

static void text(sqlite3_stmt *statement, int index, const char *value)
{
	check(sqlite3_bind_text(statement, index, value, -1, SQLITE_STATIC) == SQLITE_OK);
}

static void write_time(char *to, size_t size, const struct timespec *t)
{
	struct tm utc;
	gmtime_r(&t->tv_sec, &utc);
	size_t seconds = strftime(to, size, "%Y-%m-%d %H:%M:%S", &utc);
	snprintf(to + seconds, size - seconds, ".%06ld", t->tv_nsec / 1000);
}

static const char *prompt_of(long long number)
{
	static char prompt[64];
	snprintf(prompt, sizeof prompt, "trap beat number %lld with heavy bass", number % PROMPTS);
	return prompt;
}

static sqlite3_int64 use(long long number, long long uses)
{
	struct timespec t;
	char at[48];
	clock_gettime(CLOCK_REALTIME, &t);
	write_time(at, sizeof at, &t);
	text(track, 1, prompt_of(number));
	text(track, 2, at);
	sqlite3_bind_int64(track, 3, uses);
	check(sqlite3_step(track) == SQLITE_ROW);
	sqlite3_int64 prompt_id = sqlite3_column_int64(track, 0);
	run(track);
	return prompt_id;
}

static void create(long long number, sqlite3_int64 prompt_id)
{
	struct timespec t;
	char id[37], path[64], at[48];
	clock_gettime(CLOCK_REALTIME, &t);
	write_time(at, sizeof at, &t);
	draw_id(id, &t);
	snprintf(path, sizeof path, "outputs/2025/11/07/%lld.wav", number);
	text(insert, 1, id);
	text(insert, 2, prompt_of(number));
	text(insert, 3, "musicgen-small");
	sqlite3_bind_double(insert, 4, 16);
	sqlite3_bind_int64(insert, 5, 32000);
	sqlite3_bind_int64(insert, 6, 2);
	text(insert, 7, path);
	text(insert, 8, at);
	text(insert, 9, "{\"bpm\":140,\"genre\":\"hip hop\",\"key\":\"Cm\"}");
	sqlite3_bind_int64(insert, 10, prompt_id);
	run(insert);
}

static void create_each(long long number)
{
	run(begin);
	create(number, use(number, 1));
	run(commit);
}

// create_once counts each prompt once, with all its uses.
static void create_once(long long first, long long rows)
{
	static sqlite3_int64 ids[PROMPTS];
	run(begin);
	for (long long n = 0; n < PROMPTS && n < rows; n++)
		ids[(first + n) % PROMPTS] = use(first + n, (rows - n + PROMPTS - 1) / PROMPTS);
	for (long long n = 0; n < rows; n++)
		create(first + n, ids[(first + n) % PROMPTS]);
	run(commit);
}

static int ascending(const void *a, const void *b)
{
	return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	check(sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	check(sqlite3_exec(db, "PRAGMA busy_timeout = 60000; PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; "
		"PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY", NULL, NULL, NULL) == SQLITE_OK);
	begin = prepare("BEGIN IMMEDIATE");
	track = prepare("INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES (?1, ?3, ?2, ?2) "
		"ON CONFLICT (text) DO UPDATE SET used_count = used_count + excluded.used_count, "
		"last_used_at = excluded.last_used_at RETURNING id");
	insert = prepare("INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, "
		"file_path, status, created_at, metadata, prompt_id, scheduled_at) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10, ?8)");
	commit = prepare("COMMIT");

	const long long first = atoll(argv[4]);
	const double began = now();
	if (strcmp(argv[2], "once") == 0) {
		create_once(first, atoll(argv[3]));
		printf("%s %.6f 0\n", argv[3], now() - began);
		return sqlite3_close_v2(db) != SQLITE_OK;
	}

	const long long wanted = atoll(argv[3]);
	double *took = malloc(wanted * sizeof *took), from = began, until = began;
	check(took != NULL);
	long long created = 0;
	for (; created < wanted; from = until) {
		create_each(first + created);
		until = now();
		took[created++] = until - from;
	}
	qsort(took, created, sizeof *took, ascending);
	printf("%lld %.6f %.6f\n", created, until - began, took[created * 99 / 100]);
	return sqlite3_close_v2(db) != SQLITE_OK;
}
