package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// output is the -o flag of a command that prints data.
type output struct{ form string }

func (o *output) flag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.form, "output", "o", outputTable, "form of the output: table or json")
}

// write prints data as JSON for programs, or what show prints for people.
func (o *output) write(out io.Writer, data any, show func(*table)) error {
	if o.form == outputJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(data)
	}
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	show(t)
	return t.flush()
}

// check refuses another form before anything is done.
func (o *output) check() error {
	if o.form != outputTable && o.form != outputJSON {
		return usage("-o must be table or json")
	}
	return nil
}

// table prints aligned columns. What it prints is made harmless for a terminal.
type table struct {
	w   *tabwriter.Writer
	err error
}

// row prints the cells of one line.
func (t *table) row(cells ...string) {
	if t.err != nil {
		return
	}
	for i, cell := range cells {
		cells[i] = printable(cell)
		if cells[i] == "" && i < len(cells)-1 {
			cells[i] = "-"
		}
	}
	_, t.err = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// field prints a name and its value, or nothing where there is none.
func (t *table) field(name, value string) {
	if value != "" {
		t.row(name, value)
	}
}

// section begins a new part with columns of its own.
func (t *table) section(title string) {
	if t.err = t.flush(); t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "\n%s\n", title)
	}
	t.err = t.flush()
}

// document prints a JSON document below a title, or nothing where there is none.
func (t *table) document(title string, document json.RawMessage) {
	if len(document) == 0 || string(document) == "null" {
		return
	}
	t.section(title)
	var indented bytes.Buffer
	if t.err == nil {
		t.err = json.Indent(&indented, document, "", "  ")
	}
	for line := range strings.SplitSeq(indented.String(), "\n") {
		if t.err == nil {
			_, t.err = fmt.Fprintln(t.w, strings.TrimRight(line[:len(line)-len(strings.TrimLeft(line, " "))]+printable(strings.TrimLeft(line, " ")), " "))
		}
	}
}

func (t *table) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// printable keeps a text on its line and takes away what a terminal would obey.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, text)
}

// instant prints a time in UTC, to the second.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
