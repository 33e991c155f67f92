package store

import (
	"context"
	"time"
)

// watchInterval is how often a process that waits for work looks whether another has written.
const watchInterval = 50 * time.Millisecond

// watchOtherProcesses rings whenever somebody has committed, until ctx ends. It needs a connection of its own:
// PRAGMA data_version tells of commits by other connections than the one that asks
// (https://www.sqlite.org/pragma.html#pragma_data_version). An error costs the hint alone, and is tried again; those who
// wait look at the database themselves, too, and hear of the error there.
func (e *sqliteEngine) watchOtherProcesses(ctx context.Context) {
	var conn *sqliteConn
	defer func() {
		if conn != nil {
			conn.close()
		}
	}()
	var last int64
	for {
		if conn == nil {
			conn, _ = openSQLiteWhenFree(ctx, time.Now().Add(e.patience), e.dsn+sqliteReaderSettings, e.patience)
			last = -1 // what happened before is not known, so the first look rings
		}
		if conn != nil {
			var version int64
			// Without ctx, for which modernc would start a goroutine each time; it takes microseconds.
			if err := conn.QueryRow(context.WithoutCancel(ctx), "PRAGMA data_version").Scan(&version); err != nil {
				conn.close()
				conn = nil
			} else if version != last {
				last = version
				e.alarm.ring()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchInterval):
		}
	}
}
