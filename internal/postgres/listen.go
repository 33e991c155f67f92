package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
)

// The channel belongs to the database. Stores in several schemas of one database wake each other, which costs a read.
const (
	listenStatement = "LISTEN generations_pending"
	notifyStatement = "NOTIFY generations_pending"
)

const (
	notifyInterval   = 10 * time.Millisecond // the least time between two notifications
	notifyTimeout    = 5 * time.Second
	listenTimeout    = 10 * time.Second // to connect, and to answer a ping
	listenSilence    = 30 * time.Second // the silence after which the connection is pinged
	listenBackoff    = 100 * time.Millisecond
	maxListenBackoff = 5 * time.Second
)

// listen rings the alarm for the notifications of other processes, until ctx ends. It has a connection of its own, and
// opens it again when that breaks. Nothing depends on it: the callers that wait also read the database.
func (e *Engine) listen(ctx context.Context) {
	pause := listenBackoff
	for {
		listened, err := e.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if listened {
			pause = listenBackoff
		}
		dbtx.LogApart(e.logger, slog.LevelWarn, "listening for work was interrupted",
			slog.Duration("again_in", pause), slog.String("error", dberr.Code(err)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, maxListenBackoff)
	}
}

// listenOnce listens until the connection breaks, and reports whether there was one.
func (e *Engine) listenOnce(ctx context.Context) (listened bool, err error) {
	conn, err := e.connectListener(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	e.alarm.Ring() // for earlier notifications
	for {
		silence, cancel := context.WithTimeout(ctx, listenSilence)
		_, err := conn.WaitForNotification(silence)
		silent := silence.Err() != nil
		cancel()
		switch {
		case err == nil:
			e.alarm.Ring()
		case ctx.Err() != nil || !silent:
			return true, err
		default: // silent, as is a connection that a firewall has dropped
			if err := pingListener(ctx, conn); err != nil {
				return true, err
			}
		}
	}
}

func (e *Engine) connectListener(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, e.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, listenStatement); err != nil {
		conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

func pingListener(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// sendNotification wakes other processes. It never runs in a transaction that writes: PostgreSQL commits transactions
// that notify one after the other, under a lock on its queue of notifications, and a wake-up is not worth that.
func (e *Engine) sendNotification() {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	// From the pool itself: Close lets what was announced before be sent.
	_, err := e.pool.Exec(ctx, notifyStatement)
	if err != nil {
		dbtx.LogApart(e.logger, slog.LevelWarn, "others were not notified of work, and will find it when they look",
			slog.String("error", dberr.Code(err)))
	}
}

// notifier sends one notification for all requests within notifyInterval. It has a goroutine only while there is one to
// send.
//
// Locks: mu is held for moments, and never while a notification is sent.
type notifier struct {
	send func()

	mu      sync.Mutex
	wanted  bool
	sending bool
	closed  bool
	running sync.WaitGroup
}

func (n *notifier) request() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted = true
	if n.sending || n.closed {
		return
	}
	n.sending = true
	n.running.Go(n.sendAll)
}

func (n *notifier) sendAll() {
	for n.more() {
		n.send()
		time.Sleep(notifyInterval)
	}
}

// more reports whether there is a notification to send. The goroutine ends if there is none.
func (n *notifier) more() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sending = n.wanted
	n.wanted = false
	return n.sending
}

// close waits until all requested notifications have been sent.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.running.Wait()
}
