package notify

import (
	"context"
	"log/slog"
)

// Log tells of messages in the process's log: for audiences that nobody has configured a route for. It tells that there is something and
// where to look, not what: subjects and texts may name people.
type Log struct{ Logger *slog.Logger }

// Send writes a line.
func (l Log) Send(ctx context.Context, message Message) error {
	l.Logger.WarnContext(ctx, "alert", "audience", message.Audience, "kind", message.Kind,
		"key", message.Key, "link", message.Link.URL, "items", max(len(message.Lines), 1))
	return nil
}
