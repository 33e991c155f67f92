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

// asServerUser lets cmd run as an unprivileged user where this process is root, since PostgreSQL refuses to.
func asServerUser(cmd *exec.Cmd, folder string) error {
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
		return os.Chown(folder, int(uid), int(gid))
	}
	return errors.New("the tests run as root, and there is no user postgres or nobody to run a server as")
}

// startWatcher starts a shell that waits for the leash to be let go, which the end of this process does however it
// comes about, then stops the server and deletes the folder. It is in a group of its own, so that Ctrl-C at the
// terminal does not end it first.
func startWatcher(pgCtl, folder string) (leash io.Closer, err error) {
	// Twice, because initdb or the start may still be under way when this process is killed.
	const script = `read -r forever; for round in 1 2; do
		"$0" stop --pgdata "$1/data" --mode immediate --silent 2> /dev/null; rm -rf "$1"; [ $round = 2 ] || sleep 3; done`
	cmd := exec.Command("/bin/sh", "-c", script, pgCtl, folder)
	if err := asServerUser(cmd, folder); err != nil {
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
