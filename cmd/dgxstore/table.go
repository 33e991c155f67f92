package main

import (
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// minTextWidth is what the last column of a table keeps, and what optional columns make room for.
const minTextWidth = 20

// column is one of a table. Its cells are plain text: the table escapes and cuts them, and paints them only then.
type column struct {
	title    string
	right    bool                     // numbers
	optional bool                     // left out, the last one first, where the terminal is too narrow
	wrap     bool                     // the last column: continued below rather than cut
	paint    func(cell string) string // nil: as it is
}

// grid is a table of texts. The last column takes what the others leave of the terminal's width.
type grid struct {
	columns []column
	rows    [][]string
}

func newGrid(columns ...column) *grid { return &grid{columns: columns} }

// add escapes the cells.
func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = safe(cells[i])
	}
	g.rows = append(g.rows, cells)
}

// print writes the table with an indent; width is the terminal's, 0 cuts nothing.
func (a *app) printGrid(g *grid, indent string) {
	last := len(g.columns) - 1
	shown, room := g.fit(a.width - len(indent))
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()

	var header table.Row
	var configs []table.ColumnConfig
	for number, i := range shown {
		header = append(header, text.Bold.Sprint(g.columns[i].title))
		align := text.AlignLeft
		if g.columns[i].right {
			align = text.AlignRight
		}
		configs = append(configs, table.ColumnConfig{Number: number + 1, Align: align, AlignHeader: align})
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for _, cells := range g.rows {
		var row table.Row
		for _, i := range shown {
			cell := cells[i]
			switch {
			case i != last || a.width <= 0:
			case g.columns[i].wrap:
				cell = text.WrapSoft(cell, room)
			default:
				cell = text.Snip(cell, room, "…")
			}
			if paint := g.columns[i].paint; paint != nil {
				cell = paint(cell)
			}
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	for line := range strings.SplitSeq(t.Render(), "\n") {
		a.printf("%s\n", strings.TrimRight(indent+line, " "))
	}
}

// fit chooses the columns that a terminal has room for, and tells how much of it is left for the last one.
func (g *grid) fit(width int) (shown []int, room int) {
	for i := range g.columns {
		shown = append(shown, i)
	}
	if width <= 0 {
		return shown, 0
	}
	for {
		room = width
		for _, i := range shown[:len(shown)-1] {
			room -= g.width(i) + 2
		}
		if room >= minTextWidth {
			return shown, room
		}
		dropped := -1
		for place, i := range shown {
			if g.columns[i].optional {
				dropped = place
			}
		}
		if dropped < 0 {
			return shown, max(room, minTextWidth)
		}
		shown = slices.Delete(shown, dropped, dropped+1)
	}
}

func (g *grid) width(column int) int {
	width := text.StringWidthWithoutEscSequences(g.columns[column].title)
	for _, cells := range g.rows {
		width = max(width, text.StringWidthWithoutEscSequences(cells[column]))
	}
	return width
}

// fields is a list of names and values, one below the other.
type fields struct {
	names  []string
	values []string
	paints []func(string) string
}

// add takes a value of one or more lines; an empty one is left out.
func (f *fields) add(name, value string) { f.addPainted(name, value, nil) }

func (f *fields) addPainted(name, value string, paint func(string) string) {
	if value != "" {
		f.names, f.values, f.paints = append(f.names, name), append(f.values, value), append(f.paints, paint)
	}
}

func (a *app) printFields(f *fields) {
	width := 0
	for _, name := range f.names {
		width = max(width, len(name))
	}
	for i, name := range f.names {
		for row, line := range safeLines(f.values[i]) {
			if row > 0 {
				name = ""
			}
			if f.paints[i] != nil {
				line = f.paints[i](line)
			}
			label := name + strings.Repeat(" ", width-len(name))
			a.printf("%s\n", strings.TrimRight(text.Bold.Sprint(label)+"  "+line, " "))
		}
	}
}

// Colours mean the same everywhere.
var (
	good = text.FgGreen
	bad  = text.FgRed
	warn = text.FgYellow
)

// paintStatus paints a status, which a detail may follow.
func paintStatus(cell string) string {
	word, _, _ := strings.Cut(cell, " ")
	switch word {
	case "completed":
		return good.Sprint(cell)
	case "failed":
		return bad.Sprint(cell)
	case "processing":
		return text.FgCyan.Sprint(cell)
	case "pending":
		return warn.Sprint(cell)
	}
	return cell
}
