"""Who takes part: founding, enrolment, keys and certificates, and Flower's processes of a party."""
