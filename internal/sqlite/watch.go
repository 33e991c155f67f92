package sqlite

import (
	"context"
	"time"

	"github.com/dgx-music/storage/internal/sqliteconn"
)

// watchInterval is how often a process that waits for work checks whether another process has written.
const watchInterval = 50 * time.Millisecond

// watchOtherProcesses rings the alarm when another connection has committed, until ctx ends. It needs a connection of
// its own: PRAGMA data_version changes with the commits of other connections only
// (https://www.sqlite.org/pragma.html#pragma_data_version). An error costs only the wake-up: the callers that wait also
// read the database, and get the error there.
func (e *Engine) watchOtherProcesses(ctx context.Context) {
	var conn *sqliteconn.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	var last int64
	for {
		if conn == nil {
			conn, _ = sqliteconn.OpenWhenFree(ctx, time.Now().Add(e.waitTimeout), e.dsn+sqliteconn.ReaderSettings, e.waitTimeout)
			last = -1 // earlier commits are not known, so the first look rings
		}
		if conn != nil {
			var version int64
			// Without ctx, for which modernc would start a goroutine each time. It takes microseconds.
			if err := conn.QueryRow(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&version); err != nil {
				conn.Close()
				conn = nil
			} else if version != last {
				last = version
				e.alarm.Ring()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchInterval):
		}
	}
}
