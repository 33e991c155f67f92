// Package stamp has a time as models of both engines can have it: SQLite's schema keeps times as text in one layout, which
// no driver reads or writes by itself.
package stamp

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Layout is that of SQLite's times, which are UTC.
const Layout = "2006-01-02 15:04:05.000000"

// Time is written as text where AsText says so, and read from whatever the driver has.
type Time struct {
	time.Time
	AsText bool
}

func (t Time) Value() (driver.Value, error) {
	if t.AsText {
		return t.Format(Layout), nil
	}
	return t.Time, nil
}

func (t *Time) Scan(from any) (err error) {
	switch from := from.(type) {
	case time.Time:
		t.Time = from
	case string:
		t.Time, err = time.Parse(Layout, from)
	default:
		err = fmt.Errorf("%T is no time", from)
	}
	return err
}
