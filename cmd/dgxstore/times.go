package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const timesHelp = `Times are UTC. A flag takes a time as 2026-11-25 or 2026-11-25T13:00:00Z, or as its
age: 90m, 24h, 7d, 2w.`

// utc formats a time for tables and fields.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// utcAndAge formats a time, and how long ago it was.
func utcAndAge(t time.Time) string { return utc(t) + " (" + ago(t) + ")" }

func optionalTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return utcAndAge(*t)
}

// age is like ago without the word "ago", for a column that is titled AGE.
func age(t time.Time) string { return strings.TrimSuffix(ago(t), " ago") }

// ago formats how long ago a past time was, or how far away a future one is.
func ago(t time.Time) string {
	if age := time.Since(t); age >= 0 {
		return humanDuration(age) + " ago"
	}
	return "in " + humanDuration(time.Until(t))
}

// humanDuration formats a duration in its two largest units.
func humanDuration(d time.Duration) string {
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

// humanSeconds is like humanDuration. Below a minute it shows tenths.
func humanSeconds(seconds float64) string {
	if seconds < 60 {
		return strconv.FormatFloat(seconds, 'f', 1, 64) + "s"
	}
	if seconds > 1e9 { // a time.Duration holds at most 292 years
		return strconv.FormatFloat(seconds, 'g', 3, 64) + "s"
	}
	return humanDuration(time.Duration(seconds * float64(time.Second)))
}

// durationFlag is a flag that also accepts days and weeks.
type durationFlag time.Duration

func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *durationFlag) Type() string { return "duration" }

func (d *durationFlag) Set(text string) error {
	parsed, err := parseDuration(text)
	*d = durationFlag(parsed)
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
		return 0, fmt.Errorf("%q is not a duration: write it as 90m, 24h, 7d or 2w", text)
	}
	return d, nil
}

// timeFlag is a flag that takes a time, or how long ago it was.
type timeFlag struct {
	time.Time
	text string
}

func (m *timeFlag) String() string { return m.text }
func (m *timeFlag) Type() string   { return "time" }

func (m *timeFlag) Set(text string) error {
	m.text = text
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05Z"} {
		if t, err := time.Parse(layout, text); err == nil {
			m.Time = t
			return nil
		}
	}
	age, err := parseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a time: write it as 2026-11-25, 2026-11-25T13:00:00Z, or an age such as 24h or 7d",
			text)
	}
	m.Time = time.Now().Add(-age)
	return nil
}
