package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// seedOld creates a completed, a failed and a favorite generation of two months ago, and a completed one of today.
func seedOld(t testing.TB, url string) (completed, failed, favorite, today store.Generation) {
	t.Helper()
	past := openAt(t, url, time.Now().AddDate(0, -2, 0))
	completed = createCompleted(t, past, beat("old and completed"))
	failed = createFailed(t, past, beat("old and failed"), "CUDA out of memory")
	favorite = createCompleted(t, past, beat("old and loved"))
	if _, err := past.SetFavorite(t.Context(), favorite.ID, true); err != nil {
		t.Fatal(err)
	}
	return completed, failed, favorite, createCompleted(t, openNow(t, url), beat("of today"))
}

func remainingIDs(t testing.TB, url string) (ids []uuid.UUID) {
	t.Helper()
	var page store.GenerationPage
	dgxstore(t, "list", "--oldest-first", "--json", "--database", url).decode(t, &page)
	for _, g := range page.Generations {
		ids = append(ids, g.ID)
	}
	return ids
}

func TestPrune(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		completed, failed, favorite, today := seedOld(t, url)
		run := func(args ...string) result {
			return dgxstore(t, append([]string{"prune", "--older-than", "30d", "--database", url}, args...)...)
		}
		all := []uuid.UUID{completed.ID, failed.ID, favorite.ID, today.ID}

		r := run("--dry-run")
		is.Equal(r.code, exitDone)
		is.True(strings.HasPrefix(r.stdout, "3 generations would be deleted\n"))
		is.True(strings.Contains(r.stdout, "\n"+completed.FilePath+"\n"))
		is.True(!strings.Contains(r.stdout, today.FilePath))
		r = run()
		is.Equal(r.code, exitDeclined)
		is.True(strings.Contains(r.stderr, "Delete 3 generations that ended over 30 days ago from "))
		is.Equal(run("--json").code, exitDeclined)
		is.Equal(remainingIDs(t, url), all)

		var report pruned
		run("--dry-run", "--json", "--drop-unused-prompts").decode(t, &report)
		is.True(report.DryRun)
		is.Equal(report.Generations, int64(3))
		is.Equal(report.Prompts, int64(3))
		is.Equal(len(report.FilePaths), 3)
		is.Equal(remainingIDs(t, url), all)

		r = run("--status", "failed", "--yes")
		is.Equal(r.code, exitDone)
		is.True(strings.HasPrefix(r.stdout, "1 generation deleted\n"))
		is.Equal(remainingIDs(t, url), []uuid.UUID{completed.ID, favorite.ID, today.ID})
		run("--keep-favorites", "--yes", "--json").decode(t, &report)
		is.Equal(report.FilePaths, []string{completed.FilePath})
		is.Equal(remainingIDs(t, url), []uuid.UUID{favorite.ID, today.ID})
		is.Equal(run("--yes", "--drop-unused-prompts").code, exitDone)
		is.Equal(remainingIDs(t, url), []uuid.UUID{today.ID})
		is.Equal(run().stdout, "0 generations deleted\n") // nothing to ask about
	})
}

func TestPruneFiles(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, root, outside := storetest.URL(t), t.TempDir(), t.TempDir()
	past := openAt(t, url, time.Now().AddDate(0, -2, 0))
	write := func(path string) string {
		is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
		is.NoErr(os.WriteFile(path, []byte("RIFF"), 0o600))
		return path
	}
	createOld := func(path string) {
		params := beat("old")
		params.FilePath = path
		createCompleted(t, past, params)
	}
	relative := write(filepath.Join(root, "outputs", "relative.wav"))
	absolute := write(filepath.Join(root, "absolute.wav"))
	secret, linked := write(filepath.Join(outside, "secret.wav")), write(filepath.Join(outside, "linked.wav"))
	kept := write(filepath.Join(root, "outputs", "kept.wav"))
	is.NoErr(os.Symlink(outside, filepath.Join(root, "link")))
	createOld("outputs/relative.wav")
	createOld(absolute)
	createOld("outputs/gone.wav")
	createOld("outputs") // a directory
	createOld(secret)
	up, err := filepath.Rel(root, secret)
	is.NoErr(err)
	createOld(filepath.ToSlash(up))
	createOld("link/linked.wav")

	args := []string{"prune", "--older-than", "30d", "--delete-files", "--files-root", root, "--database", url}
	r := dgxstore(t, args...)
	is.Equal(r.code, exitDeclined)
	is.True(strings.Contains(r.stderr,
		"Delete 7 generations that ended over 30 days ago, 2 audio files below "+root+" from "))
	is.Equal(dgxstore(t, append(args, "--dry-run")...).code, exitDone)
	is.True(exists(relative))

	var report pruned
	r = dgxstore(t, append(args, "--yes", "--json")...)
	is.Equal(r.code, exitError) // some files were not deleted
	is.True(strings.Contains(r.stderr, "4 files were not deleted"))
	r.decode(t, &report)
	is.Equal(report.DeletedFiles, int64(2))
	is.Equal(report.MissingFiles, int64(1))
	is.Equal(len(report.FileErrors), 4)
	is.Equal(len(report.KeptFiles), 4)
	is.Equal(len(report.FilePaths), 2) // of which the files are deleted
	is.True(!exists(relative) && !exists(absolute))
	is.True(exists(secret) && exists(linked) && exists(kept))
}

// Prune never deletes the database's own files, whichever path names them.
func TestPruneSparesTheDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	root, outside := t.TempDir(), t.TempDir()
	is.NoErr(os.Mkdir(filepath.Join(root, "data"), 0o755))
	database := filepath.Join(root, "data", "generations.db")
	url := "sqlite:" + filepath.ToSlash(database)
	is.NoErr(store.Migrate(t.Context(), url))
	past := openAt(t, url, time.Now().AddDate(0, -4, 0)) // stays open, so that the -wal file exists
	is.NoErr(past.Backup(t.Context(), filepath.Join(root, "backup.wav")))

	otherURL := "sqlite:" + filepath.ToSlash(filepath.Join(root, "other.db"))
	is.NoErr(store.Migrate(t.Context(), otherURL))
	createCompleted(t, openAt(t, otherURL, time.Now()), beat("of another store")) // only in its log yet

	data := func(name string) string { return filepath.Join(root, "data", name) }
	kept := []string{
		"other.db", "other.db-wal", "other.db-shm",
		"data/generations.db", "data/generations.db-wal", "data/generations.db-shm",
		"data/generations.db.before-v2", "data/generations.db.before-v2-2",
		"data/generations.db.before-v2.whole.unfinished", "data/generations.db.123.unfinished", "backup.wav",
		"./data/../data/generations.db", database, "hardlink.wav", "link.wav", "dir/generations.db",
		filepath.ToSlash(filepath.Join(outside, "root", "data", "generations.db")),
		filepath.Join(outside, "root", "audio.wav"), // the root's text is another
	}
	for _, name := range []string{".before-v2", ".before-v2-2", ".before-v2.whole.unfinished", ".123.unfinished"} {
		is.NoErr(os.WriteFile(data("generations.db"+name), []byte("a copy"), 0o600))
	}
	is.NoErr(os.Link(database, filepath.Join(root, "hardlink.wav")))
	is.NoErr(os.Symlink(database, filepath.Join(root, "link.wav")))
	is.NoErr(os.Symlink("data", filepath.Join(root, "dir")))
	is.NoErr(os.Symlink(root, filepath.Join(outside, "root")))
	deleted := []string{"data/generations.db.wav", filepath.ToSlash(filepath.Join(root, "absolute.wav"))}
	is.NoErr(os.WriteFile(filepath.Join(root, "absolute.wav"), nil, 0o600))
	is.NoErr(os.WriteFile(data("generations.db.wav"), []byte("RIFF"), 0o600))
	is.NoErr(os.WriteFile(filepath.Join(root, "audio.wav"), nil, 0o600))
	for _, path := range slices.Concat(kept, deleted) {
		params := beat("old")
		params.FilePath = path
		createCompleted(t, past, params)
	}

	// The URL and the root are relative, as in the directory of a service.
	cmd := command(t, "prune", "--older-than", "90d", "--delete-files", "--files-root", ".", "--yes", "--json")
	cmd.Dir, cmd.Env = root, append(cmd.Env, "DATABASE_URL=sqlite:data/generations.db")
	r := runCommand(t, cmd)
	is.Equal(r.code, exitError)
	var report pruned
	r.decode(t, &report)
	is.Equal(report.Generations, int64(len(kept)+len(deleted)))
	is.Equal(report.DeletedFiles, int64(len(deleted)))
	is.Equal(report.MissingFiles, int64(0))
	refused := map[string]string{}
	for _, failed := range report.FileErrors {
		refused[failed.Path] = failed.Error
	}
	is.Equal(len(refused), len(kept))
	for _, path := range kept {
		is.True(strings.HasPrefix(refused[path], "not deleted: ")) // fails if the path was not refused
		is.True(exists(filepath.Join(root, path)) || exists(path))
	}
	for _, path := range deleted {
		is.True(!exists(filepath.Join(root, path)) && !exists(path))
	}
	is.Equal(dgxstore(t, "check", "--database", url).code, exitDone)

	// The URL leads through a link.
	is.NoErr(os.Symlink(database, filepath.Join(outside, "link.db")))
	params := beat("old")
	params.FilePath = "data/generations.db"
	createCompleted(t, past, params)
	r = dgxstore(t, "prune", "--older-than", "90d", "--delete-files", "--files-root", root, "--yes",
		"--database", "sqlite:"+filepath.ToSlash(filepath.Join(outside, "link.db")))
	is.Equal(r.code, exitError)
	is.True(strings.Contains(r.stdout, "\ndata/generations.db: it belongs to the database\n"))
	is.True(exists(database))
}

// Audio that a remaining generation names by another path stays, and nothing that is no audio is listed for deletion.
func TestPruneListsOnlyFilesThatMayGo(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		root := t.TempDir()
		past, now := openAt(t, url, time.Now().AddDate(0, -4, 0)), openNow(t, url)
		named := func(s *store.Store, path string) {
			params := beat("named")
			params.FilePath = path
			createCompleted(t, s, params)
		}
		is.NoErr(os.Mkdir(filepath.Join(root, "outputs"), 0o755))
		for _, name := range []string{"outputs/absolute.wav", "outputs/linked.wav", "outputs/free.wav", ".env"} {
			is.NoErr(os.WriteFile(filepath.Join(root, name), []byte("RIFF"), 0o600))
		}
		is.NoErr(os.Symlink("linked.wav", filepath.Join(root, "outputs", "latest.wav")))
		named(past, filepath.Join(root, "outputs", "absolute.wav"))
		named(now, "outputs/absolute.wav")
		named(past, "outputs/linked.wav")
		named(now, "outputs/latest.wav")
		for _, path := range []string{"outputs/free.wav", ".env", "/etc/shadow", "../../etc/shadow"} {
			named(past, path)
		}
		args := []string{"prune", "--older-than", "90d", "--database", url}

		none := filepath.Join(root, "none")
		is.Equal(dgxstore(t, append(args, "--yes", "--delete-files", "--files-root", none)...).code, exitUsage)
		var report pruned
		dgxstore(t, append(args, "--dry-run", "--json")...).decode(t, &report) // goes by the names alone
		is.Equal(report.FilePaths, []string{"outputs/free.wav", "outputs/linked.wav"})
		args = append(args, "--files-root", root)
		dgxstore(t, append(args, "--dry-run", "--json")...).decode(t, &report)
		is.Equal(report.FilePaths, []string{"outputs/free.wav"})
		is.Equal(len(report.KeptFiles), 5)
		r := dgxstore(t, append(args, "--dry-run")...)
		listed, stay, _ := strings.Cut(r.stdout, "files that stay:\n")
		is.Equal(listed, "6 generations would be deleted\n\naudio files that no generation would name any more:\n"+
			"outputs/free.wav\n\n")
		is.True(strings.Contains(stay, "/etc/shadow: it is not below the files root\n"))
		is.True(strings.Contains(stay, "outputs/linked.wav: a remaining generation names the same file\n"))

		r = dgxstore(t, append(args, "--delete-files", "--yes", "--json")...)
		is.Equal(r.code, exitError)
		r.decode(t, &report)
		is.Equal(report.DeletedFiles, int64(1))
		is.Equal(len(report.FileErrors), 3) // of the five kept files, those that are not in use
		for _, name := range []string{"outputs/absolute.wav", "outputs/linked.wav", "outputs/latest.wav", ".env"} {
			is.True(exists(filepath.Join(root, name)))
		}
		is.True(!exists(filepath.Join(root, "outputs", "free.wav")))

		// A file in use is no error: it goes with the last generation that names it.
		is.NoErr(os.Link(filepath.Join(root, "outputs", "linked.wav"), filepath.Join(root, "hard.wav")))
		named(past, "hard.wav")
		r = dgxstore(t, append(args, "--delete-files", "--yes", "--json")...)
		is.Equal(r.code, exitDone)
		r.decode(t, &report)
		is.Equal(len(report.KeptFiles), 1)
		is.True(report.KeptFiles[0].InUse)
	})
}

// An interrupted prune says how to continue, and the next one does.
func TestPruneInterrupted(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	past := openAt(t, url, time.Now().AddDate(0, -2, 0))
	params := make([]store.CreateGenerationParams, 5000)
	for i := range params {
		params[i] = beat("old")
	}
	created, err := past.CreateGenerations(t.Context(), params)
	is.NoErr(err)
	completions := make([]store.Completion, len(created))
	for i, g := range created {
		completions[i].ID = g.ID
	}
	_, err = past.CompleteGenerations(t.Context(), completions)
	is.NoErr(err)

	cmd := command(t, "prune", "--older-than", "30d", "--yes", "--database", url)
	pipe, err := cmd.StderrPipe()
	is.NoErr(err)
	is.NoErr(cmd.Start())
	stderr := bufio.NewReader(pipe)
	line, err := stderr.ReadString('\n')
	is.NoErr(err)
	is.Equal(line, "pruning ...\n")
	is.NoErr(cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	is.NoErr(err)
	is.Equal(string(rest),
		"dgxstore: interrupted; deleted generations stay deleted; run the same command again for the rest\n")
	is.Equal(exitStatus(t, cmd.Wait()), exitInterrupted)
	is.True(len(remainingIDs(t, url)) > 0)
	is.Equal(dgxstore(t, "prune", "--older-than", "30d", "--yes", "--database", url).code, exitDone)
	is.Equal(len(remainingIDs(t, url)), 0)
}
