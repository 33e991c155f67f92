//go:build !unix

package pgtest

import (
	"errors"
	"io"
	"os/exec"
)

var errNoServer = errors.New("set TEST_POSTGRES_URL: a server can only be started on Unix")

func asServerUser(*exec.Cmd, string) error { return errNoServer }

func startWatcher(string, string) (io.Closer, error) { return nil, errNoServer }
