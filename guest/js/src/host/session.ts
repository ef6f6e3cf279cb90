export { getState, setState } from 'longshore:handler/session@0.1.0';
