package temporaldev

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// serverLogger gives the server's warnings and errors to slog. What the server calls "fatal" is logged as an error: an
// embedded server must not end the process that it is a guest of.
type serverLogger struct {
	slog     *slog.Logger
	quiet    *atomic.Bool // shared with the loggers made by With
	minLevel slog.Level
}

var (
	_ log.Logger     = (*serverLogger)(nil)
	_ log.WithLogger = (*serverLogger)(nil)
)

func newServerLogger(to *slog.Logger) *serverLogger {
	return &serverLogger{slog: to, quiet: new(atomic.Bool), minLevel: slog.LevelWarn}
}

// quieten ends all output.
func (l *serverLogger) quieten() { l.quiet.Store(true) }

func (l *serverLogger) Debug(msg string, tags ...tag.Tag) { l.write(slog.LevelDebug, msg, tags) }
func (l *serverLogger) Info(msg string, tags ...tag.Tag)  { l.write(slog.LevelInfo, msg, tags) }
func (l *serverLogger) Warn(msg string, tags ...tag.Tag)  { l.write(slog.LevelWarn, msg, tags) }
func (l *serverLogger) Error(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *serverLogger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }
func (l *serverLogger) Fatal(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }

func (l *serverLogger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic(msg)
}

func (l *serverLogger) With(tags ...tag.Tag) log.Logger {
	with := *l
	with.slog = slog.New(l.slog.Handler().WithAttrs(attrs(tags)))
	return &with
}

func (l *serverLogger) write(level slog.Level, msg string, tags []tag.Tag) {
	if level < l.minLevel || l.quiet.Load() || !l.slog.Enabled(context.Background(), level) {
		return
	}
	l.slog.LogAttrs(context.Background(), level, msg, attrs(tags)...) //nolint:sloglint // the message is the server's
}

func attrs(tags []tag.Tag) []slog.Attr {
	list := make([]slog.Attr, len(tags))
	for i, t := range tags {
		list[i] = slog.Any(t.Key(), t.Value())
	}
	return list
}
