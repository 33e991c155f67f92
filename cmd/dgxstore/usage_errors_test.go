package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store/storetest"
)

// commands maps each command to valid arguments.
var commands = map[string][]string{
	"migrate":  {},
	"status":   {},
	"list":     {},
	"show":     {noSuchID},
	"search":   {"beat"},
	"stats":    {},
	"usage":    {},
	"cancel":   {noSuchID},
	"retry":    {noSuchID},
	"pause":    {},
	"resume":   {},
	"prune":    {"--older-than", "30d", "--yes"},
	"backup":   {"copy.backup"},
	"restore":  {"none.backup"},
	"transfer": {"--from", "sqlite:none.db", "--to", "sqlite:other.db"},
	"check":    {},
	"optimize": {},
}

func TestHelp(t *testing.T) {
	is := is.New(t)
	root := dgxstore(t, "--help")
	is.Equal(root.code, exitDone)
	for name := range commands {
		is.True(strings.Contains(root.stdout, "\n  "+name+" ")) // the root's help lists the command
		r := dgxstore(t, name, "--help")
		is.Equal(r.code, exitDone)
		is.Equal(r.stderr, "")
		is.True(strings.Contains(r.stdout, "dgxstore "+name))
	}
	for _, code := range []string{"0  ", "1  ", "2  ", "3  ", "4  ", "5  ", "6  ", "7  ", "8  ", "130"} {
		is.True(strings.Contains(root.stdout, "\n  "+code)) // the root's help explains the exit code
	}
	is.True(strings.HasPrefix(dgxstore(t, "--version").stdout, "dgxstore "))
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for name := range commands {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			r := dgxstore(t, name, "--no-such-flag")
			is.Equal(r.code, exitUsage)
			is.Equal(r.stdout, "")
			is.True(strings.Contains(r.stderr, "--no-such-flag"))
			is.True(strings.HasSuffix(r.stderr, "Try: dgxstore "+name+" --help\n"))
			is.Equal(strings.Count(r.stderr, "\n"), 2)
			is.Equal(dgxstore(t, name, "--no-such-flag", "--json").code, exitUsage)
		})
	}
	for _, args := range [][]string{
		{}, {"lsit"}, {"--no-such-flag"}, {"status", "now"}, {"list", "all"}, {"list", "--busy-timeout", "long"},
		{"show"}, {"show", "a", "b"}, {"show", "no-id"}, {"search"},
		{"stats", "all"}, {"stats", "--batch", "x"}, {"stats", "--batch", noSuchID, "--models"}, {"usage", "--days", "many"},
		{"cancel"}, {"cancel", "no-id"}, {"cancel", noSuchID, "--batch", noSuchID}, {"cancel", noSuchID, "--dry-run"},
		{"retry"}, {"retry", "no-id"}, {"retry", "--failed", "--cancelled"}, {"retry", "--failed", noSuchID},
		{"retry", noSuchID, "--dry-run"}, {"retry", noSuchID, "--model", "x"}, {"retry", "--failed", "--since", "yesterday"},
		{"pause", "now"}, {"resume", "now"}, {"migrate", "now"}, {"migrate", "--status", "--rollback"},
		{"prune"}, {"prune", "--older-than", "0s"}, {"prune", "--older-than", "-30d"}, {"prune", "--older-than", "old"},
		{"prune", "--older-than", "30d", "--status", "pending"}, {"prune", "--older-than", "30d", "--delete-files"},
		{"prune", "--older-than", "30d", "--delete-files", "--files-root", ""},
		{"backup"}, {"backup", "a", "b"}, {"restore"}, {"check", "all"}, {"optimize", "all"},
		{"transfer"}, {"transfer", "--from", "sqlite:a.db"}, {"transfer", "--to", "sqlite:a.db"},
		{"transfer", "--from", "sqlite:a.db", "--to", ""}, {"transfer", "--from", "sqlite:a.db", "--to-env", ""},
		{"transfer", "--from", "sqlite:a.db", "--from-env", "DATABASE_URL", "--to", "sqlite:b.db"},
		{"transfer", "--from-env", "DATABASE_URL", "--to-env", "NO_SUCH_VARIABLE"},
		{"transfer", "--from-env", "DATABASE_URL"},
		{"transfer", "--from", "sqlite:a.db", "--to", "sqlite:b.db", "--database", "sqlite:c.db"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			is := is.New(t)
			r := dgxstore(t, args...)
			is.Equal(r.code, exitUsage)
			is.Equal(r.stdout, "")
			is.True(strings.Contains(r.stderr, " --help\n"))
			is.Equal(dgxstore(t, append(args, "--json")...).code, exitUsage)
		})
	}
	is := is.New(t)
	is.True(strings.Contains(dgxstore(t, "lsit").stderr, "did you mean list?"))
	is.True(strings.Contains(dgxstore(t, "sho\x1b[31m").stderr, `sho\x1b[31m`)) // arguments are escaped, too
	is.True(strings.Contains(dgxstore(t, "list", "all").stderr, `dgxstore: list takes no arguments, got "all"`))
}

// A value that only the store refuses is a usage error, too.
func TestRefusedByStore(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	for _, args := range [][]string{
		{"list", "--status", "broken"}, {"list", "--limit", "-1"}, {"list", "--limit", "0"},
		{"list", "--after", "nonsense"}, {"list", "--metadata", "genre"}, {"list", "--metadata-range", "bpm"},
		{"list", "--metadata-range", "bpm=a..b"}, {"list", "--metadata-range", "bpm=NaN.."},
		{"list", "--since", "2026-13-01"}, {"list", "--prompt", "\xff"}, {"list", "--busy-timeout", "-1s"},
		{"search", "--limit", "-1", "x"}, {"search", "--limit", "0", "x"}, {"search", "--status", "failed", "x"},
		{"search", "--generations", "--status", "broken", "x"}, {"usage", "--days", "0"}, {"usage", "--days", "4000"},
		{"stats", "--batch", "00000000-0000-0000-0000-00000000000"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			is := is.New(t)
			args := append(args, "--database", url)
			r := dgxstore(t, args...)
			is.Equal(r.code, exitUsage)
			is.Equal(r.stdout, "")
			is.Equal(dgxstore(t, append(args, "--json")...).code, exitUsage)
		})
	}
}

func TestMissingDatabase(t *testing.T) {
	t.Parallel()
	for name, args := range commands {
		if name == "migrate" || name == "restore" || name == "transfer" { // these create one
			continue
		}
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			database, path := missingURL(t)
			args := append([]string{name, "--database", database}, args...)
			r := dgxstore(t, args...)
			is.Equal(r.code, exitSchema)
			is.Equal(r.stdout, "")
			is.True(strings.Contains(r.stderr, "there is no database"))
			is.True(strings.Contains(r.stderr, "dgxstore migrate"))
			is.True(!exists(path)) // the command did not create it
			is.Equal(dgxstore(t, append(args, "--json")...).code, exitSchema)
		})
	}
	t.Run("default", func(t *testing.T) {
		is := is.New(t)
		cmd := command(t, "status")
		is.Equal(runCommand(t, cmd).code, exitSchema)
		entries, err := os.ReadDir(cmd.Dir)
		is.NoErr(err)
		is.Equal(len(entries), 0)
	})
}

func TestMissingPostgresDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	empty := storetest.EmptyPostgresURL(t)
	r := dgxstore(t, "list", "--database", empty)
	is.Equal(r.code, exitSchema)
	is.True(strings.Contains(r.stderr, "dgxstore migrate"))
	is.Equal(dgxstore(t, "status", "--database", empty).code, exitSchema)

	parsed, err := url.Parse(empty)
	is.NoErr(err)
	parsed.Path = "/no_such_database"
	for _, name := range []string{"list", "status", "migrate"} {
		r = dgxstore(t, name, "--database", parsed.String())
		is.Equal(r.code, exitSchema)
		is.True(strings.Contains(r.stderr, "createdb"))
	}
}

func TestPasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	backup := filepath.Join(t.TempDir(), "ok.backup")
	is.New(t).Equal(dgxstore(t, "backup", backup, "--database", storetest.URL(t)).code, exitDone)
	other := storetest.URL(t)
	for i, database := range []string{
		"postgres://user:hunter2@127.0.0.1:1/music", "postgres://127.0.0.1:1/music?user=user&password=hunter2",
		"postgres://user:hunter2@127.0.0.1:port/music", "postgres://user:hunter2@@127.0.0.1/music",
		"postgres:user:hunter2@host/music", "postgres://user%3Ahunter2@127.0.0.1:1/music",
		"postgres://user:1/hunter2@127.0.0.1:1/music", "postgres://user:1#hunter2@127.0.0.1:1/music",
		"mysql://user:hunter2@host/music", "mysql:user:hunter2@host", "postgresql+psycopg2://user:hunter2@host/music",
		"user:hunter2@host/music", "hunter2@host", "sqlite+pysqlcipher://:hunter2@/music.db",
		"sqlite3:music.db?password=hunter2", "sqlite://user:hunter2@host/music.db",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) { // not by the URL: paths of temporary directories would have it
			t.Parallel()
			quiet := func(args ...string) {
				t.Helper()
				r := dgxstore(t, args...)
				if strings.Contains(r.stdout+r.stderr, "hunter2") {
					t.Errorf("%q: %s%s", args, r.stdout, r.stderr)
				}
			}
			for name, args := range commands {
				if name == "transfer" {
					args = []string{"--from", database, "--to", database}
				} else {
					args = append(slices.Clone(args), "--database", database)
				}
				quiet(append([]string{name}, args...)...)
				quiet(append([]string{name, "--json"}, args...)...)
			}
			for _, args := range [][]string{
				{"restore", backup}, {"restore", backup, "--yes"}, {"restore", backup, "--yes", "--json"},
				{"migrate", "--rollback"}, {"migrate", "--rollback", "--yes"}, {"migrate", "--status"},
			} {
				quiet(append(args, "--database", database)...)
			}
			// The URL is given as the wrong argument. There the command hides only what looks like a password.
			if !strings.Contains(database, ":hunter2@") && !strings.Contains(database, "password=") {
				return
			}
			for _, args := range [][]string{
				{database}, {"status", database}, {"restore", database}, {"show", database}, {"cancel", database},
				{"list", "--status", database}, {"list", "--since", database}, {"list", "--limit", database},
				{"prune", "--older-than", database}, {"list", "--databse", database}, {"list", "--databse=" + database},
			} {
				quiet(append(args, "--database", other)...)
			}
		})
	}
	is := is.New(t)
	is.Equal(displayURL("postgres://user:hunter2@host:5432/music?sslmode=require&password=hunter2&sslpassword=hunter2"),
		"postgres://user@host:5432/music?sslmode=require")
	is.Equal(displayURL("postgres:///music?host=/run/postgres"), "postgres:///music?host=/run/postgres")
	is.Equal(displayURL("postgres://user:hunter2@host:port/music"), "the PostgreSQL database")
	is.Equal(displayURL("sqlite:data/generations.db"), "sqlite:data/generations.db")
}

func TestDatabaseFromEnvironment(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	cmd := command(t, "stats")
	cmd.Env = append(cmd.Env, "DATABASE_URL="+storetest.URL(t))
	is.Equal(runCommand(t, cmd).code, exitDone)

	// The flag wins over the variable.
	database, _ := missingURL(t)
	cmd = command(t, "stats", "--database", database)
	cmd.Env = append(cmd.Env, "DATABASE_URL="+storetest.URL(t))
	is.Equal(runCommand(t, cmd).code, exitSchema)
}

func TestBusy(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	holdWriter(t, url)
	r := dgxstore(t, "pause", "--busy-timeout", "100ms", "--database", url)
	is.Equal(r.code, exitBusy)
	is.True(strings.Contains(r.stderr, "busy"))
	is.Equal(dgxstore(t, "pause", "--busy-timeout", "100ms", "--json", "--database", url).code, exitBusy)
	for _, name := range []string{"list", "status", "stats", "usage"} { // reading does not wait for the writer
		is.Equal(dgxstore(t, name, "--busy-timeout", "100ms", "--database", url).code, exitDone)
	}
}

// A command fails if it cannot write its output.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full")
	}
	defer full.Close()
	is := is.New(t)
	for _, args := range [][]string{{"list"}, {"stats", "--json"}} {
		cmd := command(t, append(args, "--database", storetest.URL(t))...)
		cmd.Stdout = full
		is.Equal(exitStatus(t, cmd.Run()), exitError)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := dgxstore(t, "completion", shell)
		is.Equal(r.code, exitDone)
		is.True(strings.Contains(r.stdout, "dgxstore"))
	}
	is.Equal(dgxstore(t, "completion", "csh").code, exitUsage)

	url := storetest.URL(t)
	s := openNow(t, url)
	waiting := create(t, s, beat(hostile))
	failed := createFailed(t, s, beat("lo-fi piano"), "CUDA out of memory")
	complete := func(args ...string) string {
		r := dgxstore(t, append([]string{"__complete"}, args...)...)
		is.Equal(r.code, exitDone)
		checkHarmless(t, r.stdout)
		return r.stdout
	}
	is.True(strings.HasPrefix(complete("list", "--status", ""), "pending\nprocessing\ncompleted\nfailed\ncancelled\n"))
	is.True(strings.HasPrefix(complete("list", "--database", url, "--model", ""), "musicgen-small\n"))
	is.True(strings.Contains(complete("show", "--database", url, ""), failed.ID.String()+"\tlo-fi piano\n"))
	is.True(strings.HasPrefix(complete("cancel", "--database", url, ""), waiting.ID.String()+"\ttrap"))
	is.True(!strings.Contains(complete("cancel", "--database", url, ""), failed.ID.String()))
	is.True(strings.HasPrefix(complete("retry", "--database", url, ""), failed.ID.String()))
	is.True(!strings.Contains(complete("retry", "--database", url, failed.ID.String(), ""), failed.ID.String()))

	is.True(strings.HasPrefix(complete("list", "--database", url, ""), ":4\n")) // does not complete file names
	is.True(strings.HasPrefix(complete("backup", "--database", url, ""), ":0\n"))
	batched := beat("in a batch")
	batched.BatchID = uuid.MustParse(noSuchID)
	create(t, s, batched)
	for _, name := range []string{"list", "stats", "cancel", "retry"} {
		is.True(strings.HasPrefix(complete(name, "--database", url, "--batch", ""), noSuchID+"\n"))
	}

	missing, path := missingURL(t)
	is.True(strings.HasPrefix(complete("show", "--database", missing, ""), ":"))
	is.True(!exists(path))
	is.True(!exists(filepath.Join("data", "generations.db")))
}
