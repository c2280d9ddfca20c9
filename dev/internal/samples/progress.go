package samples

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress prints one line whenever a sample goes on. It is safe for concurrent use.
type Progress struct {
	Out    io.Writer
	Clock  func() time.Time
	Colour bool // terminals only
	Width  int  // of the titles

	mu    sync.Mutex
	begun time.Time
}

// NewProgress prints to out, with room for the titles of the samples.
func NewProgress(out io.Writer, clock func() time.Time, colour bool, list []Sample) *Progress {
	p := &Progress{Out: out, Clock: clock, Colour: colour, begun: clock()}
	for _, sample := range list {
		p.Width = max(p.Width, len(sample.Title))
	}
	return p
}

// of gives what prints the lines of one sample.
func (p *Progress) of(sample Sample) func(string) { return p.Line(sample.Title) }

// Line gives what prints the lines of what has a title.
func (p *Progress) Line(title string) func(string) {
	return func(text string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		since := p.Clock().Sub(p.begun)
		_, _ = fmt.Fprintf(p.Out, "%6.1fs  %-*s  %s\n", since.Seconds(), p.Width, title, p.coloured(text))
	}
}

func (p *Progress) coloured(text string) string {
	const green, red, plain = "\x1b[32m", "\x1b[31m", "\x1b[0m"
	switch {
	case !p.Colour:
		return text
	case strings.HasSuffix(text, "as expected"):
		return green + text + plain
	case strings.HasSuffix(text, "DIFFERS"):
		return red + text + plain
	default:
		return text
	}
}
