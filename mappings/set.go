package mappings

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/fault"
)

//go:embed all:cybersource all:syspro all:sagepro all:gl all:lookups all:fixtures
var embedded embed.FS

// Options say where mappings come from.
type Options struct {
	OverlayDir string // directory with a site's own files, laid out like the embedded ones; "" for none
	Base       fs.FS  // files in place of the embedded ones; nil for those
}

// Set is every mapping and lookup of a process, compiled. It never changes and is safe for concurrent use.
type Set struct {
	mappings map[string]*Mapping
	tables   map[string]*table
	tests    []*testFile
	hash     string
}

// Load reads, merges and compiles all files. The error is Errors: everything that is wrong with any file, at once.
func Load(options Options) (*Set, error) {
	l := &loader{documents: map[string]*document{}, overlays: map[string]*document{}, tables: map[string]*table{}, sums: map[string][]string{}}
	base := options.Base
	if base == nil {
		base = embedded
	}
	l.read(base, "", false)
	if options.OverlayDir != "" {
		if info, err := os.Stat(options.OverlayDir); err != nil || !info.IsDir() {
			l.fail(options.OverlayDir, "overlay", "the overlay directory can't be read")
		} else {
			l.read(os.DirFS(options.OverlayDir), options.OverlayDir, true)
		}
	}
	set := l.compile()
	if len(l.errs) > 0 {
		slices.SortStableFunc(l.errs, func(a, b *MappingError) int {
			if c := strings.Compare(a.File, b.File); c != 0 {
				return c
			}
			return a.Line - b.Line
		})
		return nil, l.errs
	}
	return set, nil
}

// Mapping gives a mapping by name, "syspro/sales_order".
func (s *Set) Mapping(name string) (*Mapping, error) {
	m, known := s.mappings[name]
	if !known {
		return nil, &MappingError{Mapping: name, File: name + ".yaml", Rule: "mapping", Kind: fault.Value,
			Message: "there is no such mapping, there are: " + strings.Join(s.Names(), ", ")}
	}
	return m, nil
}

// Names lists the mappings, sorted; lookups are not among them.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.mappings))
	for name := range s.mappings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Hash is the SHA-256 over all files of the set, in hexadecimal.
func (s *Set) Hash() string { return s.hash }

// loader collects files and errors.
type loader struct {
	documents map[string]*document
	overlays  map[string]*document
	tables    map[string]*table
	tests     []*testFile
	sums      map[string][]string // name of mapping or lookup to the hashes of its files
	errs      Errors
}

func (l *loader) fail(file, rule, format string, args ...any) {
	l.errs = append(l.errs, &MappingError{File: file, Rule: rule, Message: fmt.Sprintf(format, args...), Kind: fault.Value})
}

func (l *loader) read(files fs.FS, dir string, overlay bool) {
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".yaml" || path.Dir(name) == "." || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		l.file(files, name, dir, body, overlay)
		return nil
	})
	if err != nil {
		l.fail(dir, "overlay", "%s", err)
	}
}

func (l *loader) file(files fs.FS, name, dir string, body []byte, overlay bool) {
	shown := name
	if dir != "" {
		shown = filepath.Join(dir, filepath.FromSlash(name))
	}
	id := strings.TrimSuffix(name, ".yaml")
	reader := &yamlReader{name: id, file: shown, overlay: overlay, errs: &l.errs}
	switch {
	case strings.HasPrefix(name, "fixtures/"):
		return
	case strings.HasSuffix(id, "_test"):
		if test := reader.tests(body, files); test != nil {
			l.tests = append(l.tests, test)
		}
		return
	case strings.HasPrefix(id, "lookups/"):
		l.lookup(reader, body)
	default:
		if d := reader.document(body); d != nil && overlay {
			l.overlays[id] = d
		} else if d != nil {
			l.documents[id] = d
		}
	}
	sum := sha256.Sum256(body)
	l.sums[id] = append(l.sums[id], hex.EncodeToString(sum[:]))
}

func (l *loader) lookup(reader *yamlReader, body []byte) {
	t := reader.table(body)
	if t == nil {
		return
	}
	if under, there := l.tables[t.name]; there {
		merged, err := under.merge(t)
		if err != nil {
			reader.fail(1, "overlay", "", "%s", err)
			return
		}
		t = merged
	}
	l.tables[t.name] = t
}

// compile merges overlays and compiles what there is, also when files are broken, so that all errors show at once.
func (l *loader) compile() *Set {
	set := &Set{mappings: map[string]*Mapping{}, tables: l.tables, tests: l.tests}
	for name, over := range l.overlays {
		l.documents[name] = merged(l.documents[name], over)
	}
	lookups := l.digest("lookups/")
	c := newCompiler(l.tables)
	for name, d := range l.documents {
		m := (&builder{compiler: c, document: d, errs: &l.errs}).mapping()
		// The tables count as part of every mapping: another value in one of them makes other documents.
		m.hash = digest(append(slices.Clone(l.sums[name]), lookups))
		set.mappings[name] = m
	}
	for _, test := range l.tests {
		if _, known := set.mappings[test.mapping]; !known {
			l.fail(test.file, "mapping", "the tests are of a mapping %q that does not exist", test.mapping)
		}
	}
	slices.SortStableFunc(set.tests, func(a, b *testFile) int { return strings.Compare(a.mapping, b.mapping) }) // the built-in file first
	set.hash = l.digest("")
	return set
}

// digest hashes the files whose names begin with the prefix.
func (l *loader) digest(prefix string) string {
	var parts []string
	for name, sums := range l.sums {
		if strings.HasPrefix(name, prefix) {
			parts = append(parts, name+" "+strings.Join(sums, " "))
		}
	}
	slices.Sort(parts)
	return digest(parts)
}

func digest(parts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

// merged puts an overlay's document over the one it extends; an overlay's document without a base stands for itself.
func merged(base, over *document) *document {
	if base == nil {
		return over
	}
	d := *base
	if over.version != "" {
		d.version += "+" + over.version
	}
	if over.currency != nil {
		d.currency = over.currency
	}
	if over.when != nil {
		d.when = over.when
	}
	d.late = append(slices.Clone(d.late), over.late...)
	d.requires = append(slices.Clone(d.requires), over.requires...)
	d.rules = mergedRules(base.rules, over.rules)
	return &d
}

// mergedRules replaces by target, in place, and appends what is new. A rule with nothing but rules extends those of the rule it names.
func mergedRules(base, over []*ruleSource) []*ruleSource {
	rules := slices.Clone(base)
	for _, r := range over {
		i := slices.IndexFunc(rules, func(b *ruleSource) bool { return b.to == r.to && !(b.overlay) })
		switch {
		case i < 0 && r.remove:
			rules = append(rules, r) // the builder reports that there is nothing to remove
		case i < 0:
			rules = append(rules, r)
		case r.remove:
			rules = slices.Delete(rules, i, i+1)
		case r.each == nil && r.expr == nil && r.from == nil && len(r.rules) > 0:
			extended := *rules[i]
			extended.rules = mergedRules(rules[i].rules, r.rules)
			rules[i] = &extended
		default:
			rules[i] = r
		}
	}
	return rules
}

// errorsOf makes an error of what was collected, or nil.
func errorsOf(errs Errors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}
