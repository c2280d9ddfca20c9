package cli

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/mappings"
)

// sampleInput is an order with everything that goes with it, for a diff without an input of one's own. It is the fixture of the
// mappings' own tests; a test holds the two to be the same.
//
//go:embed sample_input.yaml
var sampleInput []byte

func (p *Program) mappingsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "mappings", Aliases: []string{"mapping"},
		Short: "Check, test, preview and compare mapping files",
		Long: `Works on the built-in mapping files with the site's overlay over them: --dir, else TENDERLINE_MAPPINGS_DIR. Nothing is sent
anywhere. docs/mappings.md describes the files.`,
	}, p.mappingsCheck(), p.mappingsTest(), p.mappingsPreview(), p.mappingsDiff())
}

// overlay is the --dir flag.
type overlay struct{ dir string }

func (o *overlay) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.dir, "dir", "", "overlay directory (default $TENDERLINE_MAPPINGS_DIR)")
}

func (o *overlay) load(p *Program) (*mappings.Set, error) {
	dir := o.dir
	if dir == "" {
		dir, _ = p.lookup("TENDERLINE_MAPPINGS_DIR")
	}
	return mappings.Load(mappings.Options{OverlayDir: dir})
}

// mappingView is a mapping in a list.
type mappingView struct {
	Mapping     string `json:"mapping"`
	Version     string `json:"version"`
	Hash        string `json:"hash"`
	Description string `json:"description,omitempty"`
}

func (p *Program) mappingsCheck() *cobra.Command {
	var out output
	var over overlay
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Compile every mapping and report everything that is wrong, with file, line and rule",
		Example: "  tenderline mappings check --dir ./our-mappings",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			set, err := over.load(p)
			if err != nil {
				return err
			}
			list := []mappingView{}
			for _, name := range set.Names() {
				m, err := set.Mapping(name)
				if err != nil {
					return err
				}
				list = append(list, mappingView{name, m.Version(), m.Hash(), m.Description()})
			}
			return out.write(cmd.OutOrStdout(), list, func(t *table) {
				t.row("MAPPING", "VERSION", "HASH", "DESCRIPTION")
				for _, m := range list {
					t.row(m.Mapping, m.Version, short(m.Hash), m.Description)
				}
			})
		},
	}
	out.flag(cmd)
	over.flag(cmd)
	return cmd
}

// short is enough of a hash to tell two apart by eye.
func short(hash string) string { return hash[:min(12, len(hash))] }

func (p *Program) mappingsTest() *cobra.Command {
	var out output
	var over overlay
	cmd := &cobra.Command{
		Use:     "test",
		Short:   "Run the tests beside the mapping files, the overlay's included",
		Example: "  tenderline mappings test --dir ./our-mappings",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			set, err := over.load(p)
			if err != nil {
				return err
			}
			results := set.RunTests()
			failed := 0
			for _, r := range results {
				if !r.Passed() {
					failed++
				}
			}
			err = out.write(cmd.OutOrStdout(), results, func(t *table) {
				t.row("MAPPING", "TEST", "RESULT", "FAILURE")
				for _, r := range results {
					if r.Passed() {
						t.row(r.Mapping, r.Name, "ok", "")
						continue
					}
					t.row(r.Mapping, r.Name, resultFailed, r.File+":"+strconv.Itoa(r.Line)+": "+r.Failure)
				}
			})
			if failed > 0 {
				err = errors.Join(err, fmt.Errorf("%d of %d mapping tests failed", failed, len(results)))
			}
			return err
		},
	}
	out.flag(cmd)
	over.flag(cmd)
	return cmd
}

// preview is a document with what made it.
type preview struct {
	Mapping     string                 `json:"mapping"`
	Version     string                 `json:"version"`
	Hash        string                 `json:"hash"`
	Skipped     bool                   `json:"skipped"`
	Document    json.RawMessage        `json:"document,omitempty"`
	Explanation []mappings.Explanation `json:"explanation,omitempty"`
}

func (p *Program) mappingsPreview() *cobra.Command {
	var out output
	var over overlay
	var name string
	var explain bool
	cmd := &cobra.Command{
		Use:   "preview FILE|- --mapping NAME",
		Short: "Show the document that a mapping makes of an order",
		Long: `FILE is an order document, or an input with everything that a mapping can read: {"order":{...},"payment":{...},"site":{...}}.
--explain tells for each target which rule, source value, lookup or default made it.`,
		Example: `  tenderline mappings preview order.json --mapping syspro/sales_order
  tenderline mappings preview order.json --mapping cybersource/payment --explain`,
		Args: exactly("a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if name == "" {
				return usage("--mapping is needed; `tenderline mappings check` lists them")
			}
			set, err := over.load(p)
			if err != nil {
				return err
			}
			m, err := set.Mapping(name)
			if err != nil {
				return usage("%w", err)
			}
			in, err := p.mappingInput(args[0])
			if err != nil {
				return err
			}
			document, explanation, err := m.Explain(in)
			if err != nil {
				return err
			}
			view := preview{Mapping: document.Mapping, Version: document.Version, Hash: document.Hash, Skipped: document.Skipped, Document: document.Body}
			if explain {
				view.Explanation = explanation
			}
			return out.write(cmd.OutOrStdout(), view, func(t *table) { showPreview(t, view) })
		},
	}
	out.flag(cmd)
	over.flag(cmd)
	cmd.Flags().StringVar(&name, "mapping", "", "name of the mapping, such as syspro/sales_order")
	cmd.Flags().BoolVar(&explain, "explain", false, "tell how each target came about")
	return cmd
}

// mappingInput reads an input; an order alone is one too.
func (p *Program) mappingInput(name string) (mappings.Input, error) {
	text, err := p.document(name)
	if err != nil {
		return mappings.Input{}, err
	}
	var bare struct {
		OrderID string `json:"orderId"`
	}
	if json.Unmarshal(text, &bare) == nil && bare.OrderID != "" {
		text = fmt.Appendf(nil, `{"order":%s}`, text)
	}
	return mappings.ParseInput(text)
}

func showPreview(t *table, v preview) {
	t.row("MAPPING", v.Mapping)
	t.row("VERSION", v.Version+" ("+short(v.Hash)+")")
	if v.Skipped {
		t.row("RESULT", "skipped: the document's own condition is false")
		return
	}
	t.document("Document", v.Document)
	if len(v.Explanation) == 0 {
		return
	}
	t.section("Explanation")
	t.row("TARGET", "VALUE", "RULE", "SOURCE", "READ", "HOW")
	for _, e := range v.Explanation {
		t.row(e.Target, e.Value, e.File+":"+strconv.Itoa(e.Line), e.Source, e.Read, how(e))
	}
}

// how puts into words what else made a target.
func how(e mappings.Explanation) string {
	var words []string
	if e.Overlay {
		words = append(words, "overlay")
	}
	if e.Default {
		words = append(words, "default")
	}
	if e.Late {
		words = append(words, "completed later")
	}
	if e.Lookup != "" {
		words = append(words, "lookup "+e.Lookup)
	}
	if e.Omitted != "" {
		words = append(words, "left out: "+e.Omitted)
	}
	return strings.Join(words, ", ")
}

func (p *Program) mappingsDiff() *cobra.Command {
	var out output
	var file, name string
	cmd := &cobra.Command{
		Use:   "diff OVERLAY_A OVERLAY_B",
		Short: "Show where two overlays make different documents",
		Long: `Applies every mapping under both overlay directories to one input, and lists the targets that differ. A - stands for the
built-in files alone. Without --input a sample order is used. It fails if there are differences only where --exit-code is given.`,
		Example: `  tenderline mappings diff - ./our-mappings
  tenderline mappings diff ./old ./new --input order.json --mapping syspro/sales_order`,
		Args: exactly("the first overlay directory, or -", "the second overlay directory, or -"),
	}
	fail := cmd.Flags().Bool("exit-code", false, "exit with 1 if there are differences")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		before, err := overlaySet(args[0])
		if err != nil {
			return err
		}
		after, err := overlaySet(args[1])
		if err != nil {
			return err
		}
		in, err := mappings.ParseInput(sampleInput)
		if file != "" {
			in, err = p.mappingInput(file)
		}
		if err != nil {
			return err
		}
		differences := []mappings.Difference{}
		if name != "" {
			differences = append(differences, mappings.DiffMapping(before, after, name, in)...)
		} else {
			differences = append(differences, mappings.Diff(before, after, in)...)
		}
		err = out.write(cmd.OutOrStdout(), differences, func(t *table) {
			t.row("MAPPING", "TARGET", "BEFORE", "AFTER")
			for _, d := range differences {
				t.row(d.Mapping, d.Target, d.Before, d.After)
			}
		})
		if *fail && len(differences) > 0 {
			err = errors.Join(err, fmt.Errorf("%d targets differ", len(differences)))
		}
		return err
	}
	out.flag(cmd)
	cmd.Flags().StringVar(&file, "input", "", "order or input to map (default: a sample order)")
	cmd.Flags().StringVar(&name, "mapping", "", "only this mapping")
	return cmd
}

func overlaySet(dir string) (*mappings.Set, error) {
	if dir == "-" {
		dir = ""
	}
	set, err := mappings.Load(mappings.Options{OverlayDir: dir})
	if err != nil && dir != "" {
		return nil, fmt.Errorf("overlay %s:\n%w", dir, err)
	}
	return set, err
}
