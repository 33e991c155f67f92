package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The channel is the database's; stores in several schemas of one database wake each other, which costs a look.
const (
	listenStatement = "LISTEN generations_pending"
	notifyStatement = "NOTIFY generations_pending"
)

const (
	notifyInterval   = 10 * time.Millisecond // at most one notification in so long
	notifyTimeout    = 5 * time.Second
	listenTimeout    = 10 * time.Second // for connecting, and for the answer of a connection that was silent
	listenSilence    = 30 * time.Second // from then on it must show that it is alive
	listenBackoff    = 100 * time.Millisecond
	maxListenBackoff = 5 * time.Second
)

// listen rings for the notifications of other processes, until ctx ends, on a connection of its own that it opens again
// when that breaks. Those who wait look at the database themselves, too, so nothing depends on it.
func (e *postgresEngine) listen(ctx context.Context) {
	pause := listenBackoff
	for {
		listened, err := e.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if listened {
			pause = listenBackoff
		}
		if e.logger != nil {
			e.logger.LogAttrs(ctx, slog.LevelWarn, "listening for work was interrupted", slog.Duration("again_in", pause), slog.String("error", errorCode(err)))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, maxListenBackoff)
	}
}

// listenOnce rings until the connection breaks, and tells whether there was one.
func (e *postgresEngine) listenOnce(ctx context.Context) (listened bool, err error) {
	conn, err := e.connectListener(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	e.alarm.ring() // for what came before
	for {
		silence, cancel := context.WithTimeout(ctx, listenSilence)
		_, err := conn.WaitForNotification(silence)
		silent := silence.Err() != nil
		cancel()
		switch {
		case err == nil:
			e.alarm.ring()
		case ctx.Err() != nil || !silent:
			return true, err
		default: // a connection that a firewall has dropped says nothing, so ask
			if err := pingListener(ctx, conn); err != nil {
				return true, err
			}
		}
	}
}

func (e *postgresEngine) connectListener(ctx context.Context) (*pgx.Conn, error) {
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

// notify sends the hint. Never in the transaction that writes: PostgreSQL lets transactions that notify commit only one
// after the other (a lock on the whole queue of notifications, held over the commit), and a hint is not worth that.
func (e *postgresEngine) notify() {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	// From the pool itself: Close lets what was announced before be sent.
	_, err := e.pool.Exec(ctx, notifyStatement)
	if err != nil && e.logger != nil {
		e.logger.LogAttrs(ctx, slog.LevelWarn, "others were not notified of work, and will find it when they look", slog.String("error", errorCode(err)))
	}
}

// notifier sends one notification for all that is announced within notifyInterval. It has a goroutine only while there
// is something to send.
type notifier struct {
	send func()

	mu      sync.Mutex
	wanted  bool
	sending bool
	closed  bool
	running sync.WaitGroup
}

func (n *notifier) poke() {
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

// more takes what is wanted, and ends the goroutine where that is nothing.
func (n *notifier) more() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sending = n.wanted
	n.wanted = false
	return n.sending
}

// close waits until all that was announced has been sent.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.running.Wait()
}
