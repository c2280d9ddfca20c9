package activities

import "context"

// CaptureShipment captures what one shipment is worth, of an authorization that is captured in parts.
func (p *Payments) CaptureShipment(ctx context.Context, in CaptureShipmentInput) (Capture, error) {
	return Capture{}, toTemporal(bug("CaptureShipment is not built"))
}
