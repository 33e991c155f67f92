package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const timesHelp = `Times are UTC. A flag that takes one reads 2026-11-25, 2026-11-25T13:00:00Z, or how long ago it was: 90m, 24h, 7d, 2w.`

// utc is how tables and fields write a time.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// utcAndAge is the time, and how long ago it was.
func utcAndAge(t time.Time) string { return utc(t) + " (" + ago(t) + ")" }

func optionalTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return utcAndAge(*t)
}

// age is ago under a heading that says so.
func age(t time.Time) string { return strings.TrimSuffix(ago(t), " ago") }

// ago is how long ago a time was, or how long it is until then.
func ago(t time.Time) string {
	if age := time.Since(t); age >= 0 {
		return human(age) + " ago"
	}
	return "in " + human(time.Until(t))
}

// human is a duration in its two largest units.
func human(d time.Duration) string {
	d = d.Round(time.Second)
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// humanSeconds is human, with a digit behind the point below a minute.
func humanSeconds(seconds float64) string {
	if seconds < 60 {
		return strconv.FormatFloat(seconds, 'f', 1, 64) + "s"
	}
	if seconds > 1e9 { // time.Duration ends at 292 years
		return strconv.FormatFloat(seconds, 'g', 3, 64) + "s"
	}
	return human(time.Duration(seconds * float64(time.Second)))
}

// duration is a flag that also knows days and weeks.
type duration time.Duration

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "duration" }

func (d *duration) Set(text string) error {
	parsed, err := parseDuration(text)
	*d = duration(parsed)
	return err
}

func parseDuration(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, found := strings.CutSuffix(text, unit)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > 36500 {
			break
		}
		return time.Duration(n) * length, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: write 90m, 24h, 7d or 2w", text)
	}
	return d, nil
}

// moment is a flag that takes a time.
type moment struct {
	time.Time
	text string
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "time" }

func (m *moment) Set(text string) error {
	m.text = text
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05Z"} {
		if t, err := time.Parse(layout, text); err == nil {
			m.Time = t
			return nil
		}
	}
	age, err := parseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no time: write 2026-11-25, 2026-11-25T13:00:00Z, or how long ago: 90m, 24h, 7d", text)
	}
	m.Time = time.Now().Add(-age)
	return nil
}
