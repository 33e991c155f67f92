//go:build unix

package pgtest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// asServerUser makes cmd run as an unprivileged user if this process is root, because PostgreSQL refuses to run as
// root. It gives that user the directory.
func asServerUser(cmd *exec.Cmd, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return err
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return os.Chown(dir, int(uid), int(gid))
	}
	return errors.New("the tests run as root, and there is no user postgres or nobody to run the server")
}

// startWatcher starts a shell that waits until the leash closes, then stops the server and deletes the directory. The
// leash closes when this process ends, even if it is killed. The shell is in a process group of its own, so that Ctrl-C
// does not end it first.
func startWatcher(pgCtl, dir string) (leash io.Closer, err error) {
	// Stop and delete twice, because initdb or the start may still be running when this process is killed.
	const script = `read -r forever; for round in 1 2; do
		"$0" stop --pgdata "$1/data" --mode immediate --silent 2> /dev/null; rm -rf "$1"; [ $round = 2 ] || sleep 3; done`
	cmd := exec.Command("/bin/sh", "-c", script, pgCtl, dir)
	if err := asServerUser(cmd, dir); err != nil {
		return nil, err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Dir = "/"
	if leash, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return leash, cmd.Start()
}
