package main

import (
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// minTextWidth is the least width of a table's last column. Optional columns are dropped to keep it.
const minTextWidth = 20

// column describes a column of a table. Its cells are plain text: the table escapes, cuts and then paints them.
type column struct {
	title    string
	right    bool                     // align right, as numbers are
	optional bool                     // may be dropped if the terminal is too narrow; the last one goes first
	wrap     bool                     // for the last column: continue on the next line instead of cutting
	paint    func(cell string) string // colours a cell; may be nil
}

// grid is a table of texts. The last column gets the width that the others leave.
type grid struct {
	columns []column
	rows    [][]string
}

func newGrid(columns ...column) *grid { return &grid{columns: columns} }

// add appends a row and escapes its cells.
func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = safe(cells[i])
	}
	g.rows = append(g.rows, cells)
}

// printGrid writes the table with an indent. Without a terminal nothing is cut.
func (a *app) printGrid(g *grid, indent string) {
	last := len(g.columns) - 1
	shown, lastWidth := g.fit(a.width - len(indent))
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
				cell = text.WrapSoft(cell, lastWidth)
			default:
				cell = text.Snip(cell, lastWidth, "…")
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

// fit chooses the columns that fit into the width, and returns the width that is left for the last one. A width of 0 or
// less shows all columns.
func (g *grid) fit(width int) (shown []int, lastWidth int) {
	for i := range g.columns {
		shown = append(shown, i)
	}
	if width <= 0 {
		return shown, 0
	}
	for {
		lastWidth = width
		for _, i := range shown[:len(shown)-1] {
			lastWidth -= g.width(i) + 2
		}
		if lastWidth >= minTextWidth {
			return shown, lastWidth
		}
		dropped := -1
		for index, i := range shown {
			if g.columns[i].optional {
				dropped = index
			}
		}
		if dropped < 0 {
			return shown, max(lastWidth, minTextWidth)
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

// fields is a list of names and values, printed one below the other.
type fields struct {
	names  []string
	values []string
	paints []func(string) string
}

// add appends a value of one or more lines. It skips an empty value.
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

// Colours have the same meaning in all commands.
var (
	good = text.FgGreen
	bad  = text.FgRed
	warn = text.FgYellow
)

// paintStatus colours a status, with or without a detail after it.
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
