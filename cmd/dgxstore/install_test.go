package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const storageModule = "github.com/dgx-music/storage"

// go install builds dgxstore from a release of both modules, in an empty directory and without go.work.
func TestInstallFromRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program with a module cache of its own")
	}
	t.Parallel()
	is := is.New(t)
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	is.NoErr(err)
	proxy := filepath.Join(t.TempDir(), "proxy")
	// Both modules are released together. cmd/go.mod has the version of the other one.
	version := requiredVersion(t, filepath.Join(repository, "cmd", "go.mod"))
	publish(t, proxy, repository, "", version)
	publish(t, proxy, repository, "cmd", version)

	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", storageModule+"/cmd/dgxstore@"+version)
	install.Dir = t.TempDir()
	install.Env = append(os.Environ(),
		"GOBIN="+bin, "GOWORK=", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		// A module cache of its own keeps the pretended release out of the real one. -trimpath lets both use one build cache.
		"GOMODCACHE="+filepath.Join(t.TempDir(), "mod"), "GOFLAGS=-modcacherw -trimpath",
		// The other modules were downloaded for this test's build, and checked by go.sum.
		"GOPROXY="+strings.Join([]string{fileURL(proxy),
			fileURL(filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")), goEnv(t, "GOPROXY")}, ","),
		"GOSUMDB=off",
	)
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", install.Args, err, output)
	}
	installed := exec.CommandContext(t.Context(), filepath.Join(bin, filepath.Base(program)), "--version")
	output, err := installed.Output()
	is.NoErr(err)
	is.Equal(string(output), "dgxstore "+version+"\n")
}

func goEnv(t testing.TB, name string) string {
	t.Helper()
	output, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

func fileURL(path string) string {
	return "file:///" + strings.TrimPrefix(filepath.ToSlash(path), "/")
}

func requiredVersion(t testing.TB, goMod string) string {
	t.Helper()
	content, err := os.ReadFile(goMod)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modfile.Parse(goMod, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, required := range parsed.Require {
		if required.Mod.Path == storageModule {
			return required.Mod.Version
		}
	}
	t.Fatalf("%s does not require %s", goMod, storageModule)
	return ""
}

// publish writes a module of the repository to a module proxy in a directory, as if the working tree were tagged.
// See https://go.dev/ref/mod#goproxy-protocol
func publish(t testing.TB, proxy, repository, directory, version string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	m := module.Version{Path: path.Join(storageModule, directory), Version: version}
	versions := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
	is.NoErr(os.MkdirAll(versions, 0o755))
	goMod, err := os.ReadFile(filepath.Join(repository, directory, "go.mod"))
	is.NoErr(err)
	info := fmt.Sprintf(`{"Version": %q, "Time": "2026-11-28T00:00:00Z"}`, version)
	is.NoErr(os.WriteFile(filepath.Join(versions, version+".info"), []byte(info), 0o600))
	is.NoErr(os.WriteFile(filepath.Join(versions, version+".mod"), goMod, 0o600))
	is.NoErr(os.WriteFile(filepath.Join(versions, "list"), []byte(version+"\n"), 0o600))
	var content bytes.Buffer
	is.NoErr(zip.Create(&content, m, filesToCommit(t, filepath.Join(repository, directory))))
	is.NoErr(os.WriteFile(filepath.Join(versions, version+".zip"), content.Bytes(), 0o600))
}

// treeFile is a file of the working tree, for package zip. That package leaves out nested modules.
type treeFile struct{ directory, name string }

func (f treeFile) Path() string                 { return f.name }
func (f treeFile) Lstat() (os.FileInfo, error)  { return os.Lstat(filepath.Join(f.directory, f.name)) }
func (f treeFile) Open() (io.ReadCloser, error) { return os.Open(filepath.Join(f.directory, f.name)) }

// filesToCommit lists the files that git tracks, or would track after git add.
func filesToCommit(t testing.TB, directory string) (files []zip.File) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = directory
	output, err := list.Output()
	if err != nil {
		t.Fatalf("git cannot list the files of the repository: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		if file := (treeFile{directory, name}); exists(filepath.Join(directory, name)) {
			files = append(files, file)
		}
	}
	return files
}
