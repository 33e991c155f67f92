// Package stamp has a type for times that works on both engines. SQLite's schema stores times as text in a layout that
// no driver reads or writes by itself.
package stamp

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Layout is the layout of times on SQLite. They are in UTC.
const Layout = "2006-01-02 15:04:05.000000"

// Time is a time that can be scanned from text.
type Time struct {
	time.Time
	AsText bool // whether to write the time as text
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
		err = fmt.Errorf("cannot scan a time from %T", from)
	}
	return err
}
