package notify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	texttemplate "text/template"

	"github.com/tenderline/tenderline/internal/fault"
)

//go:embed templates/*.txt templates/*.html
var builtIn embed.FS

// The two forms of a template, and the name within the text that is the subject.
const (
	textForm    = ".txt"
	htmlForm    = ".html"
	subjectPart = "subject"
)

// maxLetter bounds what a template makes, in bytes.
const maxLetter = 256 << 10

// Templates are the mails to customers, by kind.
type Templates struct {
	text map[string]*texttemplate.Template
	html map[string]*template.Template
}

// Rendered is a mail as it goes out.
type Rendered struct{ Subject, Text, HTML string }

// LoadTemplates reads the built-in templates and, over them, the files of a directory ("" for none) that have the same names. Every
// template is tried with sample orders: what does not work there is an error now, with file and line, and not when a customer waits.
func LoadTemplates(dir string) (*Templates, error) {
	t := &Templates{text: map[string]*texttemplate.Template{}, html: map[string]*template.Template{}}
	var problems []error
	for _, kind := range CustomerKinds() {
		problems = append(problems, t.read(dir, kind))
	}
	problems = append(problems, strangers(dir))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	for _, kind := range CustomerKinds() {
		for _, sample := range samples(kind) {
			if _, err := t.execute(kind, sample); err != nil {
				problems = append(problems, err)
				break
			}
		}
	}
	return t, errors.Join(problems...)
}

// read parses both forms of one kind.
func (t *Templates) read(dir, kind string) error {
	name, source, err := templateFile(dir, kind+textForm)
	if err != nil {
		return err
	}
	text, textErr := texttemplate.New(name).Option("missingkey=error").Parse(source)
	if textErr == nil && text.Lookup(subjectPart) == nil {
		textErr = fmt.Errorf("template: %s:1: has no {{define %q}}", name, subjectPart)
	}
	name, source, err = templateFile(dir, kind+htmlForm)
	if err != nil {
		return errors.Join(textErr, err)
	}
	html, htmlErr := template.New(name).Option("missingkey=error").Parse(source)
	t.text[kind], t.html[kind] = text, html
	return errors.Join(textErr, htmlErr)
}

// templateFile gives a template of the directory, else the built-in one. The name is what errors show.
func templateFile(dir, file string) (name, source string, err error) {
	if dir != "" {
		name = filepath.Join(dir, file)
		text, err := os.ReadFile(name)
		if err == nil {
			return name, string(text), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", "", fmt.Errorf("read mail template: %w", err)
		}
	}
	text, err := builtIn.ReadFile("templates/" + file)
	return file, string(text), err
}

// strangers finds templates that nothing would ever send: a misspelt name would leave the built-in text in place.
func strangers(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read mail templates: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		form := filepath.Ext(entry.Name())
		if (form == textForm || form == htmlForm) && !slices.Contains(CustomerKinds(), strings.TrimSuffix(entry.Name(), form)) {
			problems = append(problems, fmt.Errorf("mail template %s: there is no such mail; there are %s", filepath.Join(dir, entry.Name()),
				strings.Join(CustomerKinds(), ", ")))
		}
	}
	return errors.Join(problems...)
}

// Render makes the mail of a kind. An error tells neither the order nor what was made of it.
func (t *Templates) Render(kind string, letter Letter) (Rendered, error) {
	rendered, err := t.execute(kind, letter)
	if err != nil {
		return Rendered{}, &fault.Fault{Kind: fault.Value, System: "mail", Code: "TEMPLATE", Message: "the template " + kind + " fails for this order", Err: err}
	}
	return rendered, nil
}

func (t *Templates) execute(kind string, letter Letter) (Rendered, error) {
	text, html := t.text[kind], t.html[kind]
	subject, subjectErr := part(text.Name(), func(w io.Writer) error { return text.ExecuteTemplate(w, subjectPart, letter) })
	plain, plainErr := part(text.Name(), func(w io.Writer) error { return text.Execute(w, letter) })
	marked, markedErr := part(html.Name(), func(w io.Writer) error { return html.Execute(w, letter) })
	rendered := Rendered{Subject: oneLine(subject, maxSubject), Text: plain + "\n", HTML: marked + "\n"}
	return rendered, errors.Join(subjectErr, plainErr, markedErr)
}

// part renders one part of a mail. The library's own errors name the file and the line already.
func part(file string, render func(io.Writer) error) (string, error) {
	var text limited
	if err := render(&text); err != nil {
		if errors.Is(err, errTooLong) {
			err = fmt.Errorf("template: %s: %w", file, err)
		}
		return "", err
	}
	rendered := strings.TrimSpace(text.String())
	if rendered == "" {
		return "", fmt.Errorf("template: %s:1: makes an empty subject or body", file)
	}
	return rendered, nil
}

var errTooLong = fmt.Errorf("makes more than %d bytes", maxLetter)

// limited is a buffer that takes no more than a mail may have.
type limited struct{ bytes.Buffer }

func (l *limited) Write(text []byte) (int, error) {
	if l.Len()+len(text) > maxLetter {
		return 0, errTooLong
	}
	return l.Buffer.Write(text)
}

// samples are orders as templates must cope with: a full one, and one of which little is known.
func samples(kind string) []Letter {
	full := Letter{
		Order: "WEB-10001", Channel: "web-us", Date: "20 November 2026", FirstName: "Ada", LastName: "Park", Total: "48.19", Currency: "USD",
		Lines: []LetterLine{{"Widget", "2"}},
	}
	bare := Letter{Order: "WEB-10001", Channel: "web-us", Date: "20 November 2026", Total: "48.19", Currency: "USD"}
	if kind == RefundCompleted {
		full.Refund, bare.Refund = &LetterRefund{ID: "R-1", Amount: "48.19 USD"}, &LetterRefund{}
	}
	return []Letter{full, bare}
}
