// Runs every check with the SDK of this environment and prints the report: node main.mjs '{"gateway": …}'

import './chat.mjs';
import './errors.mjs';
import './other_endpoints.mjs';
import './streaming.mjs';
import './structured.mjs';
import './tools.mjs';
import { runAll } from './world.mjs';

await runAll();
